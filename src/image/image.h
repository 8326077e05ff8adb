/* Local images: a content-addressed store of unpacked layers and of image records.
 *
 * Store layout (format 1), below the store directory (0700 root):
 *   format              "1\n"
 *   lock                flock: shared by whoever reads or adds, exclusive to take away
 *   layers/HEX          unpacked layer, by diffID; ids 0..65535 as in the image; overlayfs
 * whiteouts layers/HEX.json     what unpacking it noted: size, dropped entries, directories it only
 * implies images/NAME.json    one record per name (0644, directory 0755 so that an unprivileged
 * agent can go on reading it by an fd opened before); NAME is the percent-encoded reference name
 *   tmp/                what is being made; its own flock admits one who adds at a time, who
 * empties it when the store is opened
 */
#pragma once

#include "base/error.h"

#include <jansson.h>
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
    char *name;           /* in the store, e.g. "default" */
    char *digest;         /* of the manifest, "sha256:..." */
    char *id;             /* digest of the configuration: what Docker calls the image id */
    char *created;        /* RFC 3339 as in the configuration, may be NULL */
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

/** All images, sorted by name; the caller frees each and the array. */
int image_store_list(struct image_store *s, struct image ***ret, size_t *ret_n, struct error *e);
/** One image by name or by unambiguous digest prefix. -ENOENT with a line naming it. */
int image_store_get(struct image_store *s, const char *name, struct image **ret, struct error *e);
/** An fd (inotify-able, O_RDONLY) of images/, valid after privileges were dropped. Owned by S. */
int image_store_images_fd(const struct image_store *s);

typedef void (*image_progress_fn)(void *userdata, const char *what, uint64_t done, uint64_t total);

struct image_load_options {
    const char *name;           /* store name; NULL: the reference's own */
    image_progress_fn progress; /* may be NULL */
    void *userdata;
};

/** Loads REFERENCE ("oci:DIR[:REF]") into the store: verifies digest and size of every blob while
 * streaming, the diffID of every layer while unpacking, unpacks only layers the store lacks, and
 * makes the image visible by one rename at the end. On failure the store is as it was. *ret_image
 * is the caller's. */
int image_load(struct image_store *s, const char *reference,
               const struct image_load_options *options, struct image **ret_image, struct error *e);
