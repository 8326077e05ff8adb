#include "base/fdio.h"

#include <dirent.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* How often an EAGAIN of openat2 is tried again before it is believed. */
#define OPENAT2_TRIES 128
/* Directory nesting that fd_remove_tree() goes down; each level holds one fd and a buffer. */
#define REMOVE_DEPTH_MAX 64
/* Names tried for a directory that is moved to the top. */
#define RAISE_TRIES 1000

int fd_openat2(int dir_fd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC),
        .mode = (flags & (O_CREAT | __O_TMPFILE)) ? mode : 0,
        .resolve = resolve,
    };
    long fd;

    for (int tries = 0; tries < OPENAT2_TRIES; tries++) {
        fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return -errno;
}

ssize_t fd_read_full(int fd, void *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, (char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

int fd_write_full(int fd, const void *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

int fd_read_all(int fd, struct buffer *b, size_t max)
{
    size_t total = 0;

    for (;;) {
        ssize_t n;
        int r = buffer_reserve(b, 4096);
        if (r < 0)
            return r;
        n = read(fd, b->data + b->size, b->capacity - b->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        total += (size_t)n;
        if (total > max)
            return -EFBIG;
        b->size += (size_t)n;
    }
}

int fd_read_file(int dir_fd, const char *path, struct buffer *b, size_t max)
{
    _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return -errno;
    return fd_read_all(fd, b, max);
}

int fd_write_file(int dir_fd, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t n;

    if (fd < 0)
        return -errno;
    do
        n = write(fd, text, strlen(text));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == strlen(text) ? 0 : -EIO;
}

int fd_set_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

/* NOLINTBEGIN(misc-no-recursion): bounded by REMOVE_DEPTH_MAX */
/* One removal. Directories nested deeper than we hold open are moved to the top and removed from
 * there, so that no depth (a program may nest beyond every path limit) is too much. */
struct removal {
    int top_fd;
    dev_t device;
    unsigned raised; /* directories moved to the top so far */
};

static int remove_entry(struct removal *r, int dir_fd, const char *name, int depth);

/* Removes what is in the directory FD, which it takes. */
static int remove_content(struct removal *r, int fd, int depth)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    int first = 0;

    if (!dir) {
        safe_close(fd);
        return -ENOMEM;
    }
    while ((entry = readdir(dir))) {
        int code;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        code = remove_entry(r, dirfd(dir), entry->d_name, depth + 1);
        if (code < 0 && first == 0)
            first = code;
    }
    closedir(dir);
    return first;
}

static int raise_to_top(struct removal *r, int dir_fd, const char *name)
{
    char top_name[32];

    for (int tries = 0; tries < RAISE_TRIES; tries++) {
        snprintf(top_name, sizeof(top_name), ".raised-%u", r->raised++);
        if (renameat2(dir_fd, name, r->top_fd, top_name, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int remove_entry(struct removal *r, int dir_fd, const char *name, int depth)
{
    struct stat st;
    int fd, code;

    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
        return 0;
    if (depth > REMOVE_DEPTH_MAX)
        return raise_to_top(r, dir_fd, name);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || st.st_dev != r->device) {
        safe_close(fd);
        return -EXDEV;
    }
    code = remove_content(r, fd, depth);
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return code < 0 ? code : -errno;
    return 0;
}

/* NOLINTEND(misc-no-recursion) */

int fd_remove_tree(int dir_fd, const char *path)
{
    _cleanup_close_ int top = -EBADF;
    struct removal r = {0};
    struct stat st;
    unsigned raised;
    int code;

    if (unlinkat(dir_fd, path, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    top = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0 || fstat(top, &st) < 0)
        return -errno;
    r.top_fd = top;
    r.device = st.st_dev;
    do {
        int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        raised = r.raised;
        code = remove_content(&r, fd, 0);
    } while (r.raised != raised);
    if (unlinkat(dir_fd, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
        return code < 0 ? code : -errno;
    return 0;
}

ssize_t fd_receive(int socket_fd, void *data, size_t size, int *fds, size_t n, size_t *ret_n)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
    } control = {0};
    struct iovec iov = {data, size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    int got[FD_PASS_MAX];
    size_t count = 0;
    ssize_t bytes;

    do
        bytes = recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC);
    while (bytes < 0 && errno == EINTR);
    if (bytes < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(got, CMSG_DATA(c), count * sizeof(int));
    }
    if (count > n || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        for (size_t i = 0; i < count; i++)
            safe_close(got[i]);
        return -EMSGSIZE;
    }
    if (count > 0)
        memcpy(fds, got, count * sizeof(int));
    if (ret_n)
        *ret_n = count;
    return bytes;
}

ssize_t fd_send(int socket_fd, const void *data, size_t size, const int *fds, size_t n)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
    } control = {0};
    struct iovec iov = {(void *)(uintptr_t)data, size};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t bytes;

    if (n > FD_PASS_MAX)
        return -EMSGSIZE;
    if (n > 0) {
        struct cmsghdr *c;
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    }
    do
        bytes = sendmsg(socket_fd, &msg, MSG_NOSIGNAL);
    while (bytes < 0 && errno == EINTR);
    return bytes < 0 ? -errno : bytes;
}
