/* Content digests as the OCI image specification writes them (descriptor.md, "Digests"). */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"

#define OPENSSL_SUPPRESS_DEPRECATED /* digest.c says why */
#include <openssl/sha.h>
#include <stdbool.h>
#include <stddef.h>

enum digest_algorithm { DIGEST_SHA256, DIGEST_SHA512 };

#define DIGEST_HEX_MAX   128
#define DIGEST_TEXT_SIZE (sizeof("sha512:") + DIGEST_HEX_MAX)

struct digest {
    enum digest_algorithm algorithm;
    char hex[DIGEST_HEX_MAX + 1]; /* lower case, as long as the algorithm says */
};

/** Parses "sha256:" and 64, or "sha512:" and 128 lower-case hexadecimal digits, nothing else: what
 * passes may be used as a file name. -EINVAL. */
int digest_parse(const char *text, struct digest *ret);
/** "sha256" or "sha512". */
const char *digest_name(const struct digest *d);
/** Writes "sha256:HEX" into BUF of DIGEST_TEXT_SIZE and returns it. */
const char *digest_text(const struct digest *d, char *buf);
bool digest_equal(const struct digest *a, const struct digest *b);

/** A running hash. */
struct hasher {
    enum digest_algorithm algorithm;
    union {
        SHA256_CTX sha256;
        SHA512_CTX sha512;
    } state;
};

/** Starts; 0 or -EIO. */
int hasher_start(struct hasher *h, enum digest_algorithm algorithm);
/** 0 or -EIO (libcrypto failed). */
int hasher_update(struct hasher *h, const void *data, size_t size);
/** The digest of all that came; the hasher is used up. */
int hasher_finish(struct hasher *h, struct digest *ret);

/** The digest of SIZE bytes in one go. */
int digest_of(enum digest_algorithm algorithm, const void *data, size_t size, struct digest *ret);
