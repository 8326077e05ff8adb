#include "image/unpack.h"

#include "base/fdio.h"
#include "image/bounds.h"
#include "image/confine.h"
#include "image/entry.h"
#include "image/inflate.h"
#include "image/pipeline.h"
#include "image/sums.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define HASH_SIZE ((size_t)256 << 10)
/* How often the child's progress is looked at. */
#define PROGRESS_MSEC 50

/* What the child sends at its end, before the lists' bytes. Judged like foreign data. */
struct report {
    struct error error;
    struct digest diff_id;
    uint64_t bytes, entries, dropped_devices, dropped_xattrs;
    uint64_t list_sizes[LAYER_LISTS], sums_size;
    bool sums_stale;
};

/* The child's first word: its namespaces wait for their ids, or a report of failure follows. */
#define READY  "r"
#define FAILED "f"

/* Numbers of the child's descriptors, all others are closed. */
enum { CHILD_INPUT = 3, CHILD_REPORT, CHILD_DIRECTORY, CHILD_FDS_END };

static void send_report(const struct error *error, const struct digest *diff_id,
                        struct layer_notes *notes)
{
    struct report report = {
        .error = *error,
        .diff_id = *diff_id,
        .bytes = notes->bytes,
        .entries = notes->entries,
        .dropped_devices = notes->dropped_devices,
        .dropped_xattrs = notes->dropped_xattrs,
        .sums_size = notes->sums_stale ? 0 : notes->sums.size,
        .sums_stale = notes->sums_stale,
    };

    for (int i = 0; i < LAYER_LISTS; i++)
        report.list_sizes[i] = notes->lists[i].size;
    if (fd_write_full(CHILD_REPORT, &report, sizeof(report)) < 0)
        return;
    for (int i = 0; i < LAYER_LISTS; i++)
        if (fd_write_full(CHILD_REPORT, notes->lists[i].text, notes->lists[i].size) < 0)
            return;
    fd_write_full(CHILD_REPORT, notes->sums.data, report.sums_size);
}

/* Keeps three descriptors at known numbers, and /dev/null in the places of stdio. */
static int arrange_descriptors(int input, int report, int root, struct error *e)
{
    const int from[] = {input, report, root};
    int high[ARRAY_SIZE(from)];
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null_fd < 0)
        return error_sys(e, -errno, "/dev/null");
    for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
        high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, CHILD_FDS_END);
        if (high[i] < 0)
            return error_sys(e, -errno, "dup");
    }
    for (int fd = 0; fd < CHILD_INPUT; fd++)
        if (dup2(null_fd, fd) < 0)
            return error_sys(e, -errno, "dup2");
    for (size_t i = 0; i < ARRAY_SIZE(from); i++)
        if (dup3(high[i], CHILD_INPUT + (int)i, O_CLOEXEC) < 0)
            return error_sys(e, -errno, "dup3");
    if (syscall(SYS_close_range, CHILD_FDS_END, ~0U, 0) < 0)
        return error_sys(e, -errno, "close_range");
    return 0;
}

static int wait_for_ids(struct error *e)
{
    char go = 0;

    if (fd_write_full(CHILD_REPORT, READY, 1) < 0)
        return error_set(e, -EPIPE, "the parent is gone");
    if (fd_read_full(CHILD_REPORT, &go, 1) != 1)
        return error_set(e, -EPIPE, "the parent gave no ids");
    return 0;
}

static void child(pid_t parent, int input, int report, const struct unpack_request *q)
{
    const struct pipeline_input in = {CHILD_INPUT, q->blob->size, q->blob->compression};
    struct layer_notes notes = {0};
    struct error error = ERROR_INIT;
    struct digest diff_id = {0};
    int root_fd = -EBADF, r;

    /* Nothing of the parent's comes with us but three descriptors. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE);
    r = arrange_descriptors(input, report, q->root_fd, &error);
    if (r >= 0)
        r = confine_enter_namespaces(CHILD_DIRECTORY, &error);
    if (r < 0)
        fd_write_full(CHILD_REPORT, FAILED, 1);
    else
        r = wait_for_ids(&error);
    if (r >= 0)
        r = confine_to_directory(&root_fd, &error);
    if (r >= 0) {
        /* The only way out: a descriptor of the host's mount. */
        close(CHILD_DIRECTORY);
        r = pipeline_run(&in, root_fd, q->bounds, &notes, &diff_id, &error);
    }
    error.code = r < 0 ? r : 0;
    send_report(&error, &diff_id, &notes);
    _exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* An uncompressed blob is the very stream that the child hashes for the diffID: once is enough. Of
 * a blob without a digest the diffID is all there is. */
static bool child_hashes_blob(const struct unpack_request *q)
{
    return q->blob->unverified ||
           (q->blob->compression == LAYER_PLAIN && digest_equal(&q->blob->digest, q->diff_id));
}

/* The child reads by the position of the file's descriptor, which both share; we do not move it. */
static void tell_progress(const struct unpack_request *q)
{
    off_t at = lseek(q->file->fd, 0, SEEK_CUR);

    if (q->progress && at >= 0)
        q->progress(q->userdata, MIN((uint64_t)at - q->file->offset, q->blob->size));
}

static int hash_all(const struct unpack_request *q, struct hasher *hasher, struct error *e)
{
    _cleanup_free_ uint8_t *data = malloc(HASH_SIZE);
    uint64_t done = 0;

    if (!data)
        return error_sys(e, -ENOMEM, "buffer");
    while (done < q->blob->size) {
        size_t want = (size_t)MIN((uint64_t)HASH_SIZE, q->blob->size - done);
        ssize_t n = image_file_read(q->file, done, data, want);
        if (n < 0)
            return error_sys(e, (int)n, "read the blob");
        if (n == 0)
            return error_set(e, -EBADMSG, "the blob has become shorter");
        if (hasher_update(hasher, data, (size_t)n) < 0)
            return error_set(e, -EIO, "cannot hash");
        done += (uint64_t)n;
        tell_progress(q);
    }
    return 0;
}

static int hash_blob(const struct unpack_request *q, struct error *e)
{
    struct hasher hasher;
    struct digest found;
    char text[DIGEST_TEXT_SIZE];
    int r;

    if (hasher_start(&hasher, q->blob->digest.algorithm) < 0)
        return error_set(e, -EIO, "cannot hash");
    r = hash_all(q, &hasher, e);
    if (r < 0)
        return r;
    if (hasher_finish(&hasher, &found) < 0)
        return error_set(e, -EIO, "cannot hash");
    if (!digest_equal(&found, &q->blob->digest))
        return error_set(e, -EBADMSG, "digest mismatch: the blob's content is %s",
                         digest_text(&found, text));
    return 0;
}

/* Returns when the child has something to say, or is gone. */
static void wait_for_report(const struct unpack_request *q, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (q->progress && poll(&p, 1, PROGRESS_MSEC) == 0)
        tell_progress(q);
}

/* Every path as the tree writer gives it: canonical, and so bounded. */
static int check_list(struct path_list *l)
{
    for (const char *path = path_list_next(l, NULL); path; path = path_list_next(l, path)) {
        struct entry_name n;
        l->count++;
        if (path[0] && (entry_name_parse(path, &n, NULL) < 0 || n.kind != ENTRY_NODE ||
                        strcmp(n.path, path) != 0))
            return -EBADMSG;
    }
    return 0;
}

static int receive_list(int fd, uint64_t size, struct path_list *ret)
{
    ssize_t n;

    if (size > LAYER_NAMES_MAX)
        return -EBADMSG;
    if (size == 0)
        return 0;
    ret->text = malloc(size);
    if (!ret->text)
        return -ENOMEM;
    n = fd_read_full(fd, ret->text, size);
    if (n < 0)
        return (int)n;
    if ((uint64_t)n != size || ret->text[size - 1])
        return -EBADMSG;
    ret->size = ret->capacity = size;
    return check_list(ret);
}

static int receive_sums(int fd, const struct report *report, struct layer_notes *notes)
{
    int r;

    notes->sums_stale = report->sums_stale;
    if (report->sums_size % sizeof(struct sum_record) != 0 ||
        report->sums_size / sizeof(struct sum_record) >
            report->entries + notes->lists[LAYER_IMPLIED].count)
        return -EBADMSG;
    notes->sums.max = SUMS_SIZE_MAX + 1;
    r = buffer_reserve(&notes->sums, report->sums_size + 1);
    if (r < 0)
        return r;
    notes->sums.size = report->sums_size;
    if (fd_read_full(fd, notes->sums.data, notes->sums.size) != (ssize_t)notes->sums.size)
        return -EBADMSG;
    sums_sort_records(&notes->sums);
    return 0;
}

/* 0 when a whole report came, whatever it says. */
static int receive_report(int fd, struct report *ret, struct layer_notes *notes)
{
    char text[DIGEST_TEXT_SIZE];
    int r = 0;

    if (fd_read_full(fd, ret, sizeof(*ret)) != sizeof(*ret))
        return -EBADMSG;
    ret->error.text[ERROR_TEXT_MAX - 1] = 0;
    for (char *p = ret->error.text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    ret->diff_id.algorithm = DIGEST_SHA256;
    ret->diff_id.hex[DIGEST_HEX_MAX] = 0;
    if (ret->error.code == 0 && digest_parse(digest_text(&ret->diff_id, text), &ret->diff_id) < 0)
        return -EBADMSG;
    if (ret->bytes > LAYER_BYTES_MAX || ret->entries > LAYER_ENTRIES_MAX + 1 ||
        ret->dropped_devices > ret->entries ||
        ret->dropped_xattrs > ret->entries * ENTRY_XATTRS_MAX)
        return -EBADMSG;
    notes->bytes = ret->bytes;
    notes->entries = ret->entries;
    notes->dropped_devices = ret->dropped_devices;
    notes->dropped_xattrs = ret->dropped_xattrs;
    for (int i = 0; r >= 0 && i < LAYER_LISTS; i++)
        r = receive_list(fd, ret->list_sizes[i], &notes->lists[i]);
    return r < 0 ? r : receive_sums(fd, ret, notes);
}

static int judge(const struct unpack_request *q, int received, int status,
                 const struct report *report, struct error *e)
{
    char text[DIGEST_TEXT_SIZE];

    if (received < 0 || (WIFSIGNALED(status) && report->error.code == 0)) {
        if (WIFSIGNALED(status))
            return error_set(e, -EIO, "the unpacker died of signal %d", WTERMSIG(status));
        return error_set(e, -EIO, "the unpacker ended without a report");
    }
    if (report->error.code < 0)
        return error_set(e, report->error.code, "%s", report->error.text);
    if (report->error.code != 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_set(e, -EIO, "the unpacker failed");
    if (!digest_equal(&report->diff_id, q->diff_id))
        return error_set(e, -EBADMSG, "diffID mismatch: the decompressed content is %s",
                         digest_text(&report->diff_id, text));
    return 0;
}

/* Done here because trusted.* takes CAP_SYS_ADMIN. The child is gone, nobody changes the tree. */
static int mark_opaque(const struct unpack_request *q, const struct layer_notes *notes,
                       struct error *e)
{
    for (const char *path = path_list_next(&notes->lists[LAYER_OPAQUE], NULL); path;
         path = path_list_next(&notes->lists[LAYER_OPAQUE], path)) {
        _cleanup_close_ int fd = -EBADF;
        if (!path[0])
            continue; /* overlayfs does not ask roots: see cut_hidden_layers() */
        fd = fd_openat2(q->root_fd, path, O_RDONLY | O_DIRECTORY, 0,
                        RESOLVE_UNTRUSTED | RESOLVE_NO_XDEV);
        if (fd < 0)
            return error_sys(e, fd, "open an opaque directory");
        if (fsetxattr(fd, LAYER_OPAQUE_MARK, "y", 1, 0) < 0)
            return error_sys(e, -errno, "mark an opaque directory");
    }
    return 0;
}

static int talk(const struct unpack_request *q, pid_t pid, int fd, struct report *report,
                struct layer_notes *notes, int *ret_received, struct error *e)
{
    char word = 0;
    int r = 0;

    if (fd_read_full(fd, &word, 1) == 1 && word == READY[0]) {
        r = confine_map_ids(pid, e);
        /* That the child is gone is what its report, or the lack of one, will say. */
        if (r >= 0 && send(fd, "g", 1, MSG_NOSIGNAL) == 1 && !child_hashes_blob(q))
            r = hash_blob(q, e);
    }
    /* A wrong digest explains anything else: there is nothing to wait for. */
    if (r < 0) {
        kill(pid, SIGKILL);
        return r;
    }
    wait_for_report(q, fd);
    *ret_received = receive_report(fd, report, notes);
    return 0;
}

static int run_child(const struct unpack_request *q, struct layer_notes *notes, struct error *e)
{
    _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
    struct report report = {0};
    int fds[2], status = 0, received = -EBADMSG, r;
    pid_t parent = getpid(), pid;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return error_sys(e, -errno, "socketpair");
    ours = fds[0], theirs = fds[1];
    if (q->blob->compression == LAYER_GZIP)
        gzip_decoder_load(); /* the child can open nothing */
    if (lseek(q->file->fd, (off_t)q->file->offset, SEEK_SET) < 0)
        return error_sys(e, -errno, "read the blob");
    pid = fork();
    if (pid < 0)
        return error_sys(e, -errno, "fork");
    if (pid == 0)
        child(parent, q->file->fd, theirs, q);
    theirs = safe_close(theirs);
    r = talk(q, pid, ours, &report, notes, &received, e);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (r < 0)
        return r;
    r = judge(q, received, status, &report, e);
    /* Whatever it was, damage of the blob explains it better. */
    if (r < 0 && child_hashes_blob(q) && !q->blob->unverified) {
        struct error digest_error = ERROR_INIT;
        if (hash_blob(q, &digest_error) < 0 && e)
            *e = digest_error;
    }
    return r;
}

int unpack_layer(const struct unpack_request *q, struct layer_notes *ret, struct error *e)
{
    _cleanup_notes_ struct layer_notes notes = {0};
    int r = run_child(q, &notes, e);

    if (r >= 0)
        r = mark_opaque(q, &notes, e);
    if (r >= 0 && notes.sums_stale)
        r = sums_take(q->root_fd, &notes.sums, e);
    if (r < 0)
        return r;
    *ret = notes;
    notes = (struct layer_notes){0};
    return 0;
}
