/* Local images: a content-addressed store of unpacked layers and of image records.
 *
 * Whoever uses an image holds it: struct image carries a lease, a shared lock on its record that
 * goes away with the last process that has the descriptor, however that ends. A record that is
 * replaced or removed moves to leaving/ with its locks, and nothing that it needs is taken away
 * before the last of them is gone.
 *
 * Store layout (format 1), below the store directory (0700 root):
 *   format              "1\n"
 *   lock                flock: exclusive while the store is made, shared by all others
 *   layers/HEX          unpacked layer, by diffID; ids 0..65535 as in the image; overlayfs
 * whiteouts layers/HEX.json     what unpacking it noted: size, dropped entries, directories it only
 * implies images/NAME.json    one record per name (0644, directory 0755 so that an unprivileged
 * agent can go on reading it by an fd opened before); NAME is the percent-encoded reference name
 *   leaving/            records that were replaced or removed, until nobody holds them
 *   tmp/                what is being made; its own flock admits one who adds or takes away at a
 * time, who empties it when the store is opened
 */
#pragma once

#include "base/error.h"
#include "image/image_bounds.h"

#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_STORE_DEFAULT "/var/lib/dockless"

/* Bounds on foreign data. */
#define IMAGE_JSON_MAX    ((size_t)4 << 20) /* one index, manifest or configuration */
#define IMAGE_LAYERS_MAX  512
#define IMAGE_NAME_MAX    255
#define IMAGE_STRINGS_MAX 4096
#define IMAGE_INDEX_DEPTH 4

struct image_label {
    char *key;
    char *value;
};

/** What dockless keeps of an image: its configuration as plain data. */
struct image {
    int lease_fd;    /* -EBADF: not held; image_free() closes it */
    char *directory; /* of "rootfs:DIR": what to run from instead of layers, absolute; or NULL */
    char *name;      /* in the store, e.g. "default" */
    char *digest;    /* of the manifest, "sha256:..." */
    char *id;        /* digest of the configuration: what Docker calls the image id */
    char *created;   /* RFC 3339 as in the configuration, may be NULL */
    int64_t created_unix; /* seconds; 0 where there is none */
    char *architecture;
    char *os;
    /* What to stack, lowest first, NULL-terminated: diffIDs ("sha256:..."), and at the top the
     * digest of a seam (seam.h) where the image needs one. */
    char **layers;
    char **env;
    char **entrypoint;
    char **cmd;
    char *working_dir;
    char *user;
    char *stop_signal;
    struct image_label *labels;
    size_t n_labels;
    uint64_t size;            /* bytes of the unpacked layers' contents */
    uint64_t dropped_devices; /* device nodes that the layers had and the store has not */
    uint64_t dropped_xattrs;  /* extended attributes likewise (all but user.* and capabilities) */
    char **history_created;   /* reserved for display; may be NULL */
};

/** An empty one, NULL when there is no memory. */
struct image *image_new(void);
void image_free(struct image *image);
DEFINE_CLEANUP(struct image, image_free)
/** The label's value, owned by IMAGE, or NULL. */
const char *image_label(const struct image *image, const char *key);
/** The record as JSON (a new reference), the form of images/NAME.json and of `image inspect
 * --format json`. */
json_t *image_to_json(const struct image *image);
int image_from_json(const json_t *json, struct image **ret, struct error *e);

/** Path of the layer's directory below the store ("layers/HEX") in BUF of at least
 * IMAGE_LAYER_PATH_SIZE. */
#define IMAGE_LAYER_PATH_SIZE 80
int image_layer_path(const char *diff_id, char *buf, struct error *e);

struct image_store;

enum image_store_mode {
    IMAGE_STORE_READ,   /* must exist */
    IMAGE_STORE_CHANGE, /* made where missing */
};

/** Opens the store. Errors name the directory: missing, not a store, another format, no permission.
 */
int image_store_open(const char *dir, enum image_store_mode mode, struct image_store **ret,
                     struct error *e);
void image_store_close(struct image_store *s);
DEFINE_CLEANUP(struct image_store, image_store_close)

enum image_hold {
    IMAGE_LOOK, /* only to be shown */
    IMAGE_HOLD, /* to be used: held until image_free(), one descriptor each */
};

/** All images, sorted by name; the caller frees each and the array. */
int image_store_list(struct image_store *s, enum image_hold hold, struct image ***ret,
                     size_t *ret_n, struct error *e);
/** One image by name or by unambiguous digest prefix, held. -ENOENT with a line naming it. */
int image_store_get(struct image_store *s, const char *name, struct image **ret, struct error *e);
/** An fd (inotify-able, O_RDONLY) of images/, valid after privileges were dropped. Owned by S. */
int image_store_images_fd(const struct image_store *s);

typedef void (*image_progress_fn)(void *userdata, const char *what, uint64_t done, uint64_t total);

/** What a plain root file system does not say about itself. All of it is the caller's. */
struct image_config {
    char *const *cmd; /* lists end in NULL, or are NULL */
    char *const *entrypoint;
    char *const *env;    /* "KEY=VALUE" */
    char *const *labels; /* "KEY=VALUE" */
    const char *working_dir;
    const char *user;
};

/** Copies CONFIG into IMAGE, which has none yet. -EINVAL names an entry without "=". */
int image_config_apply(const struct image_config *config, struct image *image, struct error *e);

struct image_load_options {
    const char *name;                  /* store name; NULL: the reference's own */
    struct image_config config;        /* for rootfs: only */
    const struct image_bounds *bounds; /* of unpacking; NULL: the defaults */
    image_progress_fn progress;        /* may be NULL */
    void *userdata;
};

/** Loads REFERENCE (names.h) into the store: verifies digest and size of every blob while
 * streaming, the diffID of every layer while unpacking, unpacks only layers the store lacks, and
 * makes the image visible by one rename at the end. On failure the store is as it was. *ret_image
 * is the caller's, and held. Must be called from a single-threaded process. */
int image_load(struct image_store *s, const char *reference,
               const struct image_load_options *options, struct image **ret_image, struct error *e);

/* --- changing what the store has; all of these want IMAGE_STORE_CHANGE --- */

/** Gives the image NAME (or digest prefix) the further name NEW_NAME, which another image may have
 * had. */
int image_store_tag(struct image_store *s, const char *name, const char *new_name, struct error *e);
/** Removes the name NAME, or the one of the image that this digest prefix means. Its layers stay
 * until image_store_prune(). *ret_held tells that somebody uses it. */
int image_store_remove(struct image_store *s, const char *name, bool *ret_held, struct error *e);

struct image_pruned {
    uint64_t layers, bytes; /* taken away, and what their files contained */
    uint64_t held;          /* layers that no name needs, but somebody who runs from them */
};
typedef void (*image_pruned_fn)(void *userdata, const char *diff_id, uint64_t bytes);

/** Takes away the layers that no name and no holder needs, and what loads that were killed left.
 * TELL (may be NULL) is called for each layer that went. */
int image_store_prune(struct image_store *s, image_pruned_fn tell, void *userdata,
                      struct image_pruned *ret, struct error *e);

/* --- verifying --- */

struct image_fault {
    const char *image; /* a name; of several images that share the layer, the first one's */
    const char *layer; /* diffID */
    const char *path;  /* in the layer; "" where it is about the layer */
    const char *what;  /* "content, mode: not as unpacked", "missing", "additional" */
};
struct image_verified {
    uint64_t layers, files, faults;
};
struct image_verify_options {
    void (*fault)(void *userdata, const struct image_fault *fault); /* may be NULL */
    image_progress_fn progress;                                     /* may be NULL */
    void *userdata;
};

/** Reads every file of the image NAME, or of all images for NULL, and compares it with the checksum
 * taken when it was unpacked. Faults are no error. */
int image_store_verify(struct image_store *s, const char *name,
                       const struct image_verify_options *options, struct image_verified *ret,
                       struct error *e);

/* --- writing images --- */

enum image_compression {
    IMAGE_COMPRESSION_DEFAULT, /* zstd, but none in docker-archive:, which takes no other */
    IMAGE_COMPRESSION_ZSTD,
    IMAGE_COMPRESSION_GZIP,
    IMAGE_COMPRESSION_NONE,
};
/** "zstd", "gzip" or "none"; -EINVAL. */
int image_compression_parse(const char *text, enum image_compression *ret);

struct image_pack_options {
    struct image_config config;
    enum image_compression compression;
    int64_t created; /* seconds; later times of files become it. Negative: the newest file's time,
                      * and times stay as they are */
    bool overlay; /* the trees are in overlayfs's form: 0/0 devices are whiteouts, and directories
                   * may be opaque */
    const volatile sig_atomic_t *stop; /* may be NULL. Not 0: it ends soon, with -ECANCELED */
};
struct image_export_options {
    enum image_compression compression;
    const volatile sig_atomic_t *stop; /* likewise */
};
#define IMAGE_DIGEST_TEXT_SIZE 160
struct image_packed {
    char digest[IMAGE_DIGEST_TEXT_SIZE]; /* of the manifest; in a docker-archive: the image id */
    uint64_t entries, bytes;
    uint64_t dropped_devices; /* device nodes and sockets */
    uint64_t dropped_xattrs;  /* all but user.* and capabilities */
};

/** Packs each of DIRS (NULL at the end) as one layer, lowest first, of the image TARGET
 * ("oci:DIR[:REF]", "oci-archive:FILE[:REF]", "docker-archive:FILE[:NAME[:TAG]]", "dir:DIR"). The
 * same trees give the same digest. A layout keeps its other images, archives and directories are
 * new. The target is as before until all is on disk; what a killed process had written, under a
 * name of its own beside it, goes with the next image that is written there. */
int image_pack(char *const *dirs, const char *target, const struct image_pack_options *options,
               struct image_packed *ret, struct error *e);
/** Writes an image of the store to TARGET, as image_pack() does. Its tree and configuration are the
 * same; its digests are new, since the archives that were loaded are not kept. */
int image_export(struct image_store *s, const char *name, const char *target,
                 const struct image_export_options *options, struct image_packed *ret,
                 struct error *e);

/* --- using an image --- */

/** The image that a user means by TEXT, ready to run from and held until image_free():
 *   - "rootfs:DIR": that directory as it is; nothing is copied. `directory` is set, there are no
 *     layers, digest or id, and the configuration is that of OPTIONS;
 *   - any other reference with a transport ("oci:DIR:REF"): the image of that digest in the store;
 *     where the store has none it is loaded, as image_load() does, under OPTIONS' name;
 *   - else a name or digest prefix in the store.
 * STORE_DIR is made where it is missing and a load needs it. Must be called from a single-threaded
 * process. The image outlives the store it came from; it belongs to the caller. */
int image_obtain(const char *store_dir, const char *text, const struct image_load_options *options,
                 struct image **ret, struct error *e);
