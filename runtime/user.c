#include "user.h"

#include "base/fdio.h"
#include "base/text.h"
#include "weaken.h"

#include <string.h>
#include <sys/stat.h>

#define ID_MAX     (SANDBOX_ID_RANGE - 1)
#define FIELDS_MAX 7

/* One line of passwd(5) or group(5): fields as spans of the file's text. */
struct line {
    const char *field[FIELDS_MAX];
    size_t length[FIELDS_MAX];
    size_t n;
};

/* Splits the line at *TEXT and moves *TEXT to the next one; false at the end. */
static bool next_line(const char **text, struct line *l)
{
    const char *p = *text;
    size_t left;

    if (!p || !*p)
        return false;
    left = strcspn(p, "\n");
    *text = p[left] ? p + left + 1 : p + left;
    l->n = 0;
    while (l->n < FIELDS_MAX) {
        const char *colon = memchr(p, ':', left);
        size_t length = colon ? (size_t)(colon - p) : left;
        l->field[l->n] = p;
        l->length[l->n++] = length;
        if (!colon)
            break;
        p += length + 1;
        left -= length + 1;
    }
    return true;
}

static bool field_is(const struct line *l, size_t i, const char *text)
{
    return i < l->n && strlen(text) == l->length[i] && memcmp(l->field[i], text, l->length[i]) == 0;
}

static int field_id(const struct line *l, size_t i, uint32_t *ret)
{
    char digits[16];
    uint64_t value;

    if (i >= l->n || l->length[i] >= sizeof(digits))
        return -EINVAL;
    memcpy(digits, l->field[i], l->length[i]);
    digits[l->length[i]] = 0;
    if (text_parse_uint(digits, ID_MAX, &value) < 0)
        return -EINVAL;
    *ret = (uint32_t)value;
    return 0;
}

static bool is_number(const char *text)
{
    return text[0] && text[strspn(text, "0123456789")] == 0;
}

static int parse_id(const char *text, const char *what, uint32_t *ret, struct error *e)
{
    uint64_t value;

    if (text_parse_uint(text, weakened("user-range") ? UINT32_MAX : ID_MAX, &value) < 0)
        return error_set(e, -ERANGE, "%s %s is not one of 0..%u", what, text, ID_MAX);
    *ret = (uint32_t)value;
    return 0;
}

static void copy_home(const struct line *l, struct user *u)
{
    if (l->n > 5 && l->length[5] > 0 && l->length[5] < sizeof(u->home) && l->field[5][0] == '/') {
        memcpy(u->home, l->field[5], l->length[5]);
        u->home[l->length[5]] = 0;
    }
}

/* The passwd line for a name or number; NAME_SPAN gets the login name found. */
static int find_user(const char *text, const char *passwd, struct user *u, struct line *ret_line,
                     struct error *e)
{
    bool number = is_number(text);
    const char *at = passwd;
    uint32_t uid = 0, gid;
    struct line l;

    if (number && parse_id(text, "user", &uid, e) < 0)
        return -ERANGE;
    while (next_line(&at, &l)) {
        uint32_t found;
        if (field_id(&l, 2, &found) < 0 || field_id(&l, 3, &gid) < 0)
            continue;
        if (number ? found != uid : !field_is(&l, 0, text))
            continue;
        u->uid = found;
        u->gid = gid;
        copy_home(&l, u);
        *ret_line = l;
        return 1;
    }
    if (!number)
        return error_set(e, -ENOENT, "user \"%s\" is not in the image's /etc/passwd", text);
    u->uid = uid;
    return 0;
}

static int find_group(const char *text, const char *group, gid_t *ret, struct error *e)
{
    struct line l;
    uint32_t gid = 0;

    if (is_number(text)) {
        if (parse_id(text, "group", &gid, e) < 0)
            return -ERANGE;
        *ret = gid;
        return 0;
    }
    while (next_line(&group, &l)) {
        if (field_is(&l, 0, text) && field_id(&l, 2, &gid) == 0) {
            *ret = gid;
            return 0;
        }
    }
    return error_set(e, -ENOENT, "group \"%s\" is not in the image's /etc/group", text);
}

static void add_group(struct user *u, gid_t gid)
{
    for (size_t i = 0; i < u->n_groups; i++)
        if (u->groups[i] == gid)
            return;
    if (u->n_groups < USER_GROUPS_MAX)
        u->groups[u->n_groups++] = gid;
}

static bool is_member(const struct line *l, const char *name, size_t length)
{
    const char *p, *end;

    if (l->n < 4 || length == 0)
        return false;
    p = l->field[3];
    for (end = p + l->length[3]; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        size_t n = (size_t)((comma ? comma : end) - p);
        if (n == length && memcmp(p, name, n) == 0)
            return true;
        p += n + 1;
    }
    return false;
}

static void add_memberships(const char *group, const struct line *user, struct user *u)
{
    struct line l;
    uint32_t gid;

    while (next_line(&group, &l))
        if (field_id(&l, 2, &gid) == 0 && is_member(&l, user->field[0], user->length[0]))
            add_group(u, gid);
}

int user_lookup(const char *text, const char *passwd, const char *group, const uint32_t *more,
                size_t n_more, struct user *ret, struct error *e)
{
    char name[SANDBOX_USER_MAX + 1];
    struct user u = {.home = "/"};
    struct line line = {.n = 0};
    char *colon;
    int found, r;

    if (!text || !text[0])
        text = "0";
    if (strlen(text) > SANDBOX_USER_MAX)
        return error_set(e, -E2BIG, "user is longer than %d", SANDBOX_USER_MAX);
    memcpy(name, text, strlen(text) + 1);
    colon = strchr(name, ':');
    if (colon)
        *colon++ = 0;
    if (!name[0] || (colon && (!colon[0] || strchr(colon, ':'))))
        return error_set(e, -EINVAL, "user \"%s\" is not USER or USER:GROUP", text);
    found = find_user(name, passwd, &u, &line, e);
    if (found < 0)
        return found;
    if (colon) {
        r = find_group(colon, group, &u.gid, e);
        if (r < 0)
            return r;
    }
    add_group(&u, u.gid);
    for (size_t i = 0; i < n_more; i++)
        add_group(&u, more[i]);
    if (found && !colon)
        add_memberships(group, &line, &u);
    *ret = u;
    return 0;
}

/* The file's text in B; leaves it empty where there is none. */
static int read_file(int root_fd, const char *path, struct buffer *b, struct error *e)
{
    _cleanup_close_ int fd =
        fd_openat2(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, RESOLVE_UNTRUSTED);
    struct stat st;
    int r;

    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return error_sys(e, fd, "open %s", path);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return error_set(e, -EINVAL, "%s is no regular file", path);
    r = fd_read_all(fd, b, USER_FILE_MAX);
    return r < 0 ? error_sys(e, r, "read %s", path) : 0;
}

int user_lookup_at(int root_fd, const struct sandbox_spec *spec, struct user *ret, struct error *e)
{
    _cleanup_buffer_ struct buffer passwd = {0}, group = {0};
    int r = read_file(root_fd, "etc/passwd", &passwd, e);

    if (r == 0)
        r = read_file(root_fd, "etc/group", &group, e);
    if (r < 0)
        return r;
    if (!buffer_string(&passwd) || !buffer_string(&group))
        return error_sys(e, -ENOMEM, "user");
    return user_lookup(spec->user, (char *)passwd.data, (char *)group.data, spec->groups,
                       spec->n_groups, ret, e);
}
