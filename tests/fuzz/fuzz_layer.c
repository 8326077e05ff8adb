/* links: image */
/* A layer's archive, unpacked for real. The thread that does it has a root directory of its own:
 *
 *   ROOT/layer/   where the layer goes
 *   ROOT/canary   which no entry may reach
 *
 * Needs root; without it only the archive is read. */
#include "base/fdio.h"
#include "image/entry.h"
#include "image/tree.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *data;
    size_t size;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct input *present; /* what the worker shall unpack, NULL when it is done */

/* Runs of odd lengths, so that headers straddle them. */
static ssize_t fill(void *userdata, const uint8_t **ret, struct error *e)
{
    struct input *in = userdata;
    size_t n = MIN(in->size, (size_t)1777);

    (void)e;
    *ret = in->data;
    in->data += n;
    in->size -= n;
    return (ssize_t)n;
}

static void read_only(struct input in)
{
    _cleanup_(tar_reader_free_p) struct tar_reader *reader = NULL;
    const struct tar_entry *entry = NULL;
    struct error e = ERROR_INIT;

    if (tar_reader_new(fill, &in, &reader) < 0)
        return;
    while (tar_next(reader, &entry, &e) == 0 && entry) {
        struct entry_name name;
        const uint8_t *data;
        uint64_t offset = 0, end = 0;
        size_t n;
        (void)entry_name_parse(entry->path, &name, &e);
        while (tar_data(reader, &data, &n, &offset, &e) > 0) {
            if (n == 0 || offset < end || offset + n > entry->size)
                abort();
            end = offset + n;
        }
    }
}

static void unpack(struct input in)
{
    _cleanup_(tar_reader_free_p) struct tar_reader *reader = NULL;
    _cleanup_(layer_tree_free_p) struct layer_tree *tree = NULL;
    _cleanup_notes_ struct layer_notes notes = {0};
    _cleanup_close_ int fd = -EBADF;
    struct error e = ERROR_INIT;
    struct stat st;

    if (mkdir("/layer", 0755) < 0)
        abort();
    fd = open("/layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || tar_reader_new(fill, &in, &reader) < 0 ||
        layer_tree_new(fd, &image_bounds_default, &notes, &tree) < 0)
        abort();
    (void)layer_tree_unpack(tree, reader, &e);
    if (stat("/canary", &st) < 0 || st.st_size != 0 || st.st_mode != (S_IFREG | 0400) ||
        st.st_nlink != 1 || st.st_uid != 0 || st.st_mtime != 1)
        abort();
    if (fd_remove_tree(AT_FDCWD, "/layer") < 0 || stat("/", &st) < 0 || st.st_nlink != 2)
        abort();
}

static void *work(void *userdata)
{
    const char *root = userdata;
    const struct timespec times[2] = {{1, 0}, {1, 0}};
    _cleanup_close_ int fd = -EBADF;

    if (unshare(CLONE_FS) < 0 || chroot(root) < 0 || chdir("/") < 0)
        abort();
    umask(0);
    fd = open("/canary", O_RDONLY | O_CREAT | O_CLOEXEC, 0400);
    if (fd < 0 || futimens(fd, times) < 0)
        abort();
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (!present)
            pthread_cond_wait(&changed, &mutex);
        unpack(*present);
        present = NULL;
        pthread_cond_broadcast(&changed);
    }
    return NULL;
}

static char root_path[] = "/dev/shm/dockless-fuzz.XXXXXX";

static void remove_root(void)
{
    fd_remove_tree(AT_FDCWD, root_path);
}

static void start_worker(void)
{
    pthread_t thread;

    if (!mkdtemp(root_path) || atexit(remove_root) != 0 ||
        pthread_create(&thread, NULL, work, root_path) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    struct input in = {data, size};

    read_only(in);
    if (geteuid() != 0)
        return 0;
    if (!started)
        start_worker();
    started = true;
    pthread_mutex_lock(&mutex);
    present = &in;
    pthread_cond_broadcast(&changed);
    while (present)
        pthread_cond_wait(&changed, &mutex);
    pthread_mutex_unlock(&mutex);
    return 0;
}
