#include "feedback.h"

#include "base/fdio.h"

#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define FEEDBACK_NEW_FILE FEEDBACK_FILE ".new"

void feedback_clear(struct feedback *f)
{
    pool_clear(&f->pool);
    f->dir_fd = safe_close(f->dir_fd);
}

static int open_dir(int root_fd, struct error *e)
{
    int fd = fd_openat2(root_fd, FEEDBACK_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);

    if (fd == -ENOENT) {
        if (mkdirat(root_fd, FEEDBACK_DIR, 0777) < 0 && errno != EEXIST)
            return error_sys(e, -errno, "/" FEEDBACK_DIR);
        fd = fd_openat2(root_fd, FEEDBACK_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, 0);
    }
    return fd < 0 ? error_sys(e, fd, "/" FEEDBACK_DIR) : fd;
}

static int modified(struct feedback *f)
{
    int k;

    f->map = json_map();
    k = json_set(&f->pool, &f->map, text_of("result"), json_text(text_of("crash")));
    return k < 0 ? k
                 : json_set(&f->pool, &f->map, text_of("text"),
                            json_text(text_of(FEEDBACK_MODIFIED)));
}

/* The bytes of the file, none where there is none. Whatever else stands in its place (a fifo would
 * block, a link leads elsewhere) was put there by the user: -EBADMSG. */
static int read_bytes(int dir_fd, struct buffer *b, struct error *e)
{
    _cleanup_close_ int fd =
        fd_openat2(dir_fd, FEEDBACK_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, 0);
    struct stat st;
    int k;

    if (fd == -ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -EBADMSG;
    k = fd_read_all(fd, b, FEEDBACK_SIZE_MAX);
    if (k == -EFBIG)
        return error_set(e, k, "the feedback is larger than %zu MiB", FEEDBACK_SIZE_MAX >> 20);
    return k < 0 ? error_sys(e, k, FEEDBACK_FILE) : 0;
}

static int load(struct feedback *f, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = 2 * FEEDBACK_SIZE_MAX};
    int k = read_bytes(f->dir_fd, &b, e);

    if (k >= 0 && b.size == 0) {
        f->map = json_map();
        return 0;
    }
    if (k >= 0)
        k = json_parse(&f->pool, (const char *)b.data, b.size, &f->map, NULL);
    if (k == -EBADMSG || (k >= 0 && f->map.kind != JSON_MAP))
        k = modified(f);
    return k;
}

int feedback_open(int root_fd, struct feedback *ret, struct error *e)
{
    struct feedback f = FEEDBACK_INIT;
    int k;

    f.dir_fd = open_dir(root_fd, e);
    if (f.dir_fd < 0)
        return f.dir_fd;
    k = flock(f.dir_fd, LOCK_EX) < 0 ? error_sys(e, -errno, "lock /" FEEDBACK_DIR) : load(&f, e);
    if (k < 0) {
        feedback_clear(&f);
        return k;
    }
    *ret = f;
    return 0;
}

int feedback_read(int root_fd, struct feedback *ret, struct error *e)
{
    struct feedback f = FEEDBACK_INIT;
    int k;

    f.dir_fd = open_dir(root_fd, e);
    if (f.dir_fd < 0)
        return f.dir_fd;
    k = load(&f, e);
    if (k < 0) {
        feedback_clear(&f);
        return k;
    }
    *ret = f;
    return 0;
}

/* The new file is made afresh each time: whatever a run script left under its name goes away. */
static int write_file(int dir_fd, const struct buffer *b)
{
    _cleanup_close_ int fd = -EBADF;
    int k;

    if (unlinkat(dir_fd, FEEDBACK_NEW_FILE, 0) < 0 && errno != ENOENT)
        return -errno;
    fd = fd_openat2(dir_fd, FEEDBACK_NEW_FILE, O_WRONLY | O_CREAT | O_EXCL, 0666, 0);
    if (fd < 0)
        return fd;
    k = fd_write_full(fd, b->data, b->size);
    if (k < 0)
        return k;
    /* Whoever runs the next command, root or worker, may write it, whatever the umask. EPERM
     * cannot be: the file is ours. */
    if (fchmod(fd, 0666) < 0)
        return -errno;
    return renameat(dir_fd, FEEDBACK_NEW_FILE, dir_fd, FEEDBACK_FILE) < 0 ? -errno : 0;
}

int feedback_save(struct feedback *f, struct error *e)
{
    _cleanup_buffer_ struct buffer b = {.max = FEEDBACK_SIZE_MAX};
    int k = json_write(&f->map, &b);

    if (k == -EMSGSIZE)
        return error_set(e, k, "the feedback would be larger than %zu MiB",
                         FEEDBACK_SIZE_MAX >> 20);
    if (k >= 0)
        k = write_file(f->dir_fd, &b);
    f->dir_fd = safe_close(f->dir_fd);
    return k < 0 ? error_sys(e, k, "/" FEEDBACK_DIR "/" FEEDBACK_FILE) : 0;
}

/* The map under KEY of the feedback, made where missing. */
static int submap(struct feedback *f, const char *key, struct json **ret, struct error *e)
{
    struct json *map = json_get(&f->map, text_of(key));
    int k;

    if (!map) {
        k = json_set(&f->pool, &f->map, text_of(key), json_map());
        if (k < 0)
            return k;
        map = json_get(&f->map, text_of(key));
    }
    if (map->kind != JSON_MAP)
        return error_set(e, -EINVAL, "\"%s\" of the feedback is no map", key);
    *ret = map;
    return 0;
}

/* What a problem has: its message alone, or [result, message]. */
struct problem {
    struct json *map;     /* all problems */
    struct json *present; /* NULL: none yet */
    struct json *message; /* NULL: none yet */
};

static int find_problem(struct feedback *f, struct text id, struct problem *ret, struct error *e)
{
    struct problem p = {.map = NULL};
    int k = submap(f, "problems", &p.map, e);

    if (k < 0)
        return k;
    p.present = json_get(p.map, id);
    if (p.present && p.present->kind == JSON_LIST && p.present->list.count == 2)
        p.message = &p.present->list.items[1];
    else
        p.message = p.present;
    if (p.message && p.message->kind != JSON_TEXT)
        return error_set(e, -EINVAL, "the feedback of problem \"%s\" has been modified", id.data);
    *ret = p;
    return 0;
}

int feedback_set_result(struct feedback *f, struct text problem, struct text result,
                        struct error *e)
{
    struct json pair = {.kind = JSON_LIST};
    struct problem p = {.map = NULL};
    int k;

    if (problem.size == 0)
        return json_set(&f->pool, &f->map, text_of("result"), json_text(result));
    k = find_problem(f, problem, &p, e);
    if (k >= 0)
        k = json_append(&f->pool, &pair, json_text(result));
    if (k >= 0)
        k = json_append(&f->pool, &pair, p.message ? *p.message : json_text(text_of("")));
    return k < 0 ? k : json_set(&f->pool, p.map, problem, pair);
}

static int joined(struct pool *pool, struct text a, struct text b, struct text *ret)
{
    char *data = pool_alloc(pool, a.size + b.size + 1);

    if (!data)
        return -ENOMEM;
    memcpy(data, a.data, a.size);
    memcpy(data + a.size, b.data, b.size);
    data[a.size + b.size] = 0;
    *ret = (struct text){data, a.size + b.size};
    return 0;
}

int feedback_set_message(struct feedback *f, struct text problem, struct text message, bool append,
                         struct error *e)
{
    struct problem p = {.map = &f->map};
    struct text key = problem.size ? problem : text_of("text");
    int k;

    if (problem.size) {
        k = find_problem(f, problem, &p, e);
        if (k < 0)
            return k;
    } else {
        p.message = json_get(&f->map, key);
        if (append && p.message && p.message->kind != JSON_TEXT)
            return error_set(e, -EINVAL, "\"text\" of the feedback is no text");
    }
    if (append && p.message) {
        k = joined(&f->pool, p.message->text, message, &message);
        if (k < 0)
            return k;
    }
    if (!p.message)
        return json_set(&f->pool, p.map, key, json_text(message));
    *p.message = json_text(message);
    return 0;
}

int feedback_set_grade(struct feedback *f, double grade)
{
    return json_set(&f->pool, &f->map, text_of("grade"), json_real(grade));
}

int feedback_set_state(struct feedback *f, struct text state)
{
    return json_set(&f->pool, &f->map, text_of("state"), json_text(state));
}

static int set_in(struct feedback *f, const char *map_name, struct text key, struct json value,
                  struct error *e)
{
    struct json *map = NULL;
    int k = submap(f, map_name, &map, e);

    return k < 0 ? k : json_set(&f->pool, map, key, value);
}

int feedback_set_custom(struct feedback *f, struct text key, struct json value, struct error *e)
{
    return set_in(f, "custom", key, value, e);
}

int feedback_set_test(struct feedback *f, struct text key, struct json value, struct error *e)
{
    return set_in(f, "tests", key, value, e);
}
