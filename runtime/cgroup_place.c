/* Where we are: the directory of our own cgroup in each hierarchy, from /proc/self/cgroup and
 * /proc/self/mountinfo. Mount points are never assumed: controllers may be mounted together
 * (cpu,cpuacct), in any place, and a container manager may show us only a part of the tree by a
 * bind mount, whose root field then is not "/" (cgroups(7), proc(5)). */
#include "cgroup_internal.h"

#include "base/fdio.h"
#include "base/text.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/vfs.h>

/* Fields of a mountinfo line before the optional ones (proc(5)). */
enum { MOUNT_ID, MOUNT_PARENT, MOUNT_DEVICE, MOUNT_ROOT, MOUNT_POINT, MOUNT_OPTIONS, MOUNT_FIXED };

const char *const cgroup_hierarchies[CGROUP_DIRS_MAX] = {"",    "memory", "pids",
                                                         "cpu", "cpuset", "blkio"};

bool cgroup_has_word(const char *text, const char *word)
{
    static const char between[] = " ,\n";
    size_t length = strlen(word);

    while (*text) {
        size_t n = strcspn(text, between);
        if (n == length && memcmp(text, word, n) == 0)
            return true;
        text += n;
        text += strspn(text, between);
    }
    return false;
}

int cgroup_parse_self(const char *text, const char *controller, char **ret_path)
{
    _cleanup_free_ char *copy = strdup(text);
    char *next = copy, *line;

    if (!copy)
        return -ENOMEM;
    while ((line = strsep(&next, "\n"))) {
        char *controllers = strchr(line, ':'), *path;
        if (!controllers)
            continue;
        *controllers++ = 0;
        path = strchr(controllers, ':');
        if (!path || path[1] != '/')
            continue;
        *path++ = 0;
        if (*controller ? !cgroup_has_word(controllers, controller)
                        : (*controllers || strcmp(line, "0") != 0))
            continue;
        path = strdup(path);
        if (!path)
            return -ENOMEM;
        *ret_path = path;
        return 0;
    }
    return -ENOENT;
}

/* Undoes the kernel's octal escapes (space, tab, newline, backslash) in place. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *p = text; *p;) {
        if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
            p[3] >= '0' && p[3] <= '7') {
            *to++ = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            p += 4;
        } else {
            *to++ = *p++;
        }
    }
    *to = 0;
}

/* What of PATH lies below ROOT ("" when they are the same), or NULL when PATH is not in it. */
static const char *below(const char *path, const char *root)
{
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *rest = path + length;

    if (strncmp(path, root, length) != 0 || (*rest && *rest != '/'))
        return NULL;
    if (strcmp(rest, "/") == 0)
        return "";
    /* A process outside its cgroup namespace's root shows "/..": nothing below a mount. */
    for (const char *p = rest; (p = strstr(p, "/..")); p += 3)
        if (p[3] == 0 || p[3] == '/')
            return NULL;
    return rest;
}

/* Splits one mountinfo line; returns whether it is a cgroup mount that has CONTROLLER. */
static bool split_mount(char *line, const char *controller, char **ret_root, char **ret_point)
{
    char *field[MOUNT_FIXED], *type, *options;
    char *rest = line;

    for (int i = 0; i < MOUNT_FIXED; i++)
        if (!(field[i] = strsep(&rest, " ")))
            return false;
    if (!rest)
        return false;
    if (strncmp(rest, "- ", 2) == 0)
        rest += 2;
    else if ((rest = strstr(rest, " - ")))
        rest += 3;
    else
        return false;
    type = strsep(&rest, " ");
    strsep(&rest, " ");
    options = rest;
    if (!options)
        return false;
    if (*controller ? strcmp(type, "cgroup") != 0 || !cgroup_has_word(options, controller)
                    : strcmp(type, "cgroup2") != 0)
        return false;
    unescape(field[MOUNT_ROOT]);
    unescape(field[MOUNT_POINT]);
    *ret_root = field[MOUNT_ROOT];
    *ret_point = field[MOUNT_POINT];
    return true;
}

int cgroup_parse_mounts(const char *text, const char *controller, const char *path, char ***list)
{
    _cleanup_free_ char *copy = strdup(text);
    char *next = copy, *line;

    if (!copy)
        return -ENOMEM;
    while ((line = strsep(&next, "\n"))) {
        _cleanup_free_ char *full = NULL;
        char *root, *point;
        const char *rest;
        int r;

        if (!split_mount(line, controller, &root, &point))
            continue;
        rest = below(path, root);
        if (!rest)
            continue;
        full = text_printf("%s%s", point, rest);
        r = full ? strv_append(list, full) : -ENOMEM;
        if (r < 0)
            return r;
    }
    return 0;
}

/* A number of LENGTH characters. */
static int parse_number(const char *text, size_t length, uint64_t *ret)
{
    char number[24]; /* UINT64_MAX has 20 digits */

    if (length >= sizeof(number))
        return -EINVAL;
    memcpy(number, text, length);
    number[length] = 0;
    return text_parse_uint(number, UINT64_MAX, ret);
}

int cgroup_parse_value(const char *text, uint64_t *ret)
{
    return parse_number(text, strcspn(text, "\n"), ret);
}

int cgroup_parse_key(const char *text, const char *key, uint64_t *ret)
{
    size_t length = strlen(key);

    while (*text) {
        size_t n = strcspn(text, "\n");
        if (n > length && memcmp(text, key, length) == 0 && text[length] == ' ')
            return parse_number(text + length + 1, n - length - 1, ret);
        text += n + (text[n] == '\n');
    }
    return -ENOENT;
}

void cgroup_dir_clear(struct cgroup_dir *d)
{
    d->fd = safe_close(d->fd);
    free(TAKE_PTR(d->path));
}

int cgroup_read(int dir_fd, const char *name, struct buffer *b)
{
    int r;

    buffer_clear(b);
    r = fd_read_file(dir_fd, name, b, CGROUP_FILE_MAX);
    if (r < 0)
        return r;
    return buffer_string(b) ? 0 : -ENOMEM;
}

int cgroup_host_has_swap(void)
{
    _cleanup_buffer_ struct buffer b = {0};
    const char *first;
    int r = cgroup_read(AT_FDCWD, "/proc/swaps", &b);

    /* A kernel built without swap has no such file. */
    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return r;
    /* One line of headings, then one for each area. */
    first = strchr((const char *)b.data, '\n');
    return first && first[1] != 0;
}

/* Opens PATH if it is a directory of the cgroup version asked for: another mount may lie over it.
 */
static int open_candidate(const char *path, bool v2)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0)
        return -errno;
    if (fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type != (v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC))
        return -ENODEV;
    return TAKE_FD(fd);
}

int cgroup_place_find(const char *controller, struct cgroup_dir *ret, struct error *e)
{
    const char *what = *controller ? controller : "v2";
    _cleanup_buffer_ struct buffer self = {0}, mounts = {.max = CGROUP_MOUNTINFO_MAX};
    _cleanup_free_ char *path = NULL;
    _cleanup_strv_ char **candidates = NULL;
    int r;

    r = cgroup_read(AT_FDCWD, "/proc/self/cgroup", &self);
    if (r < 0)
        return error_sys(e, r, "/proc/self/cgroup");
    r = cgroup_parse_self((const char *)self.data, controller, &path);
    if (r == -ENOENT)
        return error_set(e, r, "/proc/self/cgroup names no %s cgroup", what);
    if (r < 0)
        return error_sys(e, r, "/proc/self/cgroup");
    r = fd_read_file(AT_FDCWD, "/proc/self/mountinfo", &mounts, CGROUP_MOUNTINFO_MAX);
    if (r == 0 && !buffer_string(&mounts))
        r = -ENOMEM;
    if (r == 0)
        r = cgroup_parse_mounts((const char *)mounts.data, controller, path, &candidates);
    if (r < 0)
        return error_sys(e, r, "/proc/self/mountinfo");
    for (char **c = candidates; c && *c; c++) {
        int fd = open_candidate(*c, !*controller);
        if (fd < 0)
            continue;
        ret->path = strdup(*c);
        if (!ret->path) {
            safe_close(fd);
            return error_sys(e, -ENOMEM, "cgroup %s", *c);
        }
        ret->fd = fd;
        return 0;
    }
    return error_set(e, -ENODEV,
                     "the %s cgroup of this process, %s, is not visible below any mount of that "
                     "hierarchy",
                     what, path);
}
