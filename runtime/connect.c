/* Theory of operation
 *
 * A grading program listens on a socket, has it mounted into a child sandbox, and waits in
 * accept(2) until the child's first program connects. A child that dies before would let it wait
 * for ever; so the client wants to know whether it ever connected, and to connect in its place
 * where it did not.
 *
 * Whether it did. The kernel makes the listener's side of a connection in the network namespace of
 * the one who connects (unix_stream_connect() in net/unix/af_unix.c, 2.6.24 to 6.18 at least),
 * gives it the listener's address, and lists it in that namespace's /proc/net/unix for as long as
 * the listener's side is held: as "connecting" until it is accepted, as "connected" from then on.
 * That file is opened while the child runs and keeps the namespace; it is read when the child is
 * dead.
 *
 * Where a child shares its parent's namespace, others' connections are listed, too: the file name
 * tells them apart. Names are chosen inside; who lies with them harms only those who wait for him.
 */
#include "connect.h"

#include "base/fdio.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A child has a handful of sockets. In its parent's namespace there may be any number; of a longer
 * table only so much is looked at. */
#define TABLE_MAX ((size_t)256 << 10)

/* The column "St" of the table: enum socket_state of linux/net.h. */
#define CONNECTING "02 "
#define CONNECTED  "03 "

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

int call_watch_start(struct call_watch *w, int proc_fd, pid_t pid, const struct sandbox_spec *spec,
                     const int *mounts, struct error *e)
{
    char path[64];

    for (size_t i = 0; i < spec->n_mounts; i++) {
        const struct sandbox_mount *m = &spec->mounts[i];
        struct stat st;
        if (m->kind != SANDBOX_MOUNT_PARENT)
            continue;
        if (fstat(mounts[i], &st) < 0)
            return error_sys(e, -errno, "%s", m->target);
        if (!S_ISSOCK(st.st_mode))
            continue;
        w->name = strdup(file_name(m->source));
        if (!w->name)
            return error_sys(e, -ENOMEM, "%s", m->target);
        snprintf(path, sizeof(path), "%d/net/unix", (int)pid);
        w->table_fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
        return w->table_fd < 0 ? error_sys(e, -errno, "open /proc/%s", path) : 0;
    }
    return 0;
}

void call_watch_clear(struct call_watch *w)
{
    w->table_fd = safe_close(w->table_fd);
    free(w->name);
    w->name = NULL;
}

/* The field behind N others, each ended by blanks; NULL where the line is shorter. */
static const char *field(const char *at, const char *end, unsigned n)
{
    for (; n > 0; n--) {
        while (at < end && *at != ' ')
            at++;
        while (at < end && *at == ' ')
            at++;
    }
    return at < end ? at : NULL;
}

/* "0000000000000000: 00000003 00000000 00000000 0001 03 123456 /sockets/x.sock" */
static bool is_connection_to(const char *line, const char *end, const char *name)
{
    const char *state = field(line, end, 5), *address = field(line, end, 7);
    size_t length = strlen(name);

    if (!address || (size_t)(end - address) < length)
        return false;
    if (strncmp(state, CONNECTING, strlen(CONNECTING)) != 0 &&
        strncmp(state, CONNECTED, strlen(CONNECTED)) != 0)
        return false;
    if (memcmp(end - length, name, length) != 0)
        return false;
    return (size_t)(end - address) == length || end[-(ptrdiff_t)length - 1] == '/';
}

bool unix_table_has(const char *table, const char *name)
{
    for (const char *line = table; *line;) {
        size_t length = strcspn(line, "\n");
        if (is_connection_to(line, line + length, name))
            return true;
        line += length;
        line += *line == '\n';
    }
    return false;
}

bool call_watch_saw(const struct call_watch *w)
{
    _cleanup_buffer_ struct buffer b = {0};
    const char *table;
    int r;

    if (w->table_fd < 0 || lseek(w->table_fd, 0, SEEK_SET) < 0)
        return false;
    r = fd_read_all(w->table_fd, &b, TABLE_MAX);
    if (r < 0 && r != -EFBIG)
        return false;
    table = buffer_string(&b);
    return table && unix_table_has(table, w->name);
}

int connect_below(int mount_fd, const char *path)
{
    const uint64_t resolve = RESOLVE_UNTRUSTED | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
    _cleanup_close_ int place = fd_openat2(mount_fd, path, O_PATH, 0, resolve), fd = -EBADF;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;

    if (place < 0)
        return place;
    if (fstat(place, &st) < 0)
        return -errno;
    if (!S_ISSOCK(st.st_mode))
        return -ENOTSOCK;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* By the descriptor: what the lookup found and nothing that was put there since. */
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", place);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}
