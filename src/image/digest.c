/* The hash functions themselves rather than OpenSSL's EVP, which would have all of its providers
 * and their ten thousand relocations come along: linked against them statically, the program starts
 * in two thirds of the time (docs/benchmarks.md), and a sandbox needs no hash at all. They use the
 * same instructions of the CPU. */
#include "image/digest.h"

#include <string.h>

struct algorithm {
    const char *name;
    size_t hex_length;
};

static const struct algorithm algorithms[] = {
    [DIGEST_SHA256] = {"sha256", 64},
    [DIGEST_SHA512] = {"sha512", 128},
};

int digest_parse(const char *text, struct digest *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(algorithms); i++) {
        size_t length = strlen(algorithms[i].name);
        const char *hex = text + length + 1;

        if (strncmp(text, algorithms[i].name, length) != 0 || text[length] != ':')
            continue;
        if (strspn(hex, "0123456789abcdef") != algorithms[i].hex_length ||
            hex[algorithms[i].hex_length])
            return -EINVAL;
        ret->algorithm = (enum digest_algorithm)i;
        memcpy(ret->hex, hex, algorithms[i].hex_length + 1);
        return 0;
    }
    return -EINVAL;
}

const char *digest_name(const struct digest *d)
{
    return algorithms[d->algorithm].name;
}

const char *digest_text(const struct digest *d, char *buf)
{
    snprintf(buf, DIGEST_TEXT_SIZE, "%s:%s", digest_name(d), d->hex);
    return buf;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->algorithm == b->algorithm && strcmp(a->hex, b->hex) == 0;
}

int hasher_start(struct hasher *h, enum digest_algorithm algorithm)
{
    int r =
        algorithm == DIGEST_SHA512 ? SHA512_Init(&h->state.sha512) : SHA256_Init(&h->state.sha256);

    h->algorithm = algorithm;
    return r == 1 ? 0 : -EIO;
}

int hasher_update(struct hasher *h, const void *data, size_t size)
{
    int r = h->algorithm == DIGEST_SHA512 ? SHA512_Update(&h->state.sha512, data, size)
                                          : SHA256_Update(&h->state.sha256, data, size);

    return r == 1 ? 0 : -EIO;
}

int hasher_finish(struct hasher *h, struct digest *ret)
{
    unsigned char raw[SHA512_DIGEST_LENGTH];
    bool is_512 = h->algorithm == DIGEST_SHA512;
    size_t size = is_512 ? SHA512_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;

    if ((is_512 ? SHA512_Final(raw, &h->state.sha512) : SHA256_Final(raw, &h->state.sha256)) != 1)
        return -EIO;
    ret->algorithm = h->algorithm;
    for (size_t i = 0; i < size; i++)
        snprintf(ret->hex + 2 * i, 3, "%02x", raw[i]);
    return 0;
}

int digest_of(enum digest_algorithm algorithm, const void *data, size_t size, struct digest *ret)
{
    struct hasher h;
    int r = hasher_start(&h, algorithm);

    if (r >= 0)
        r = hasher_update(&h, data, size);
    return r < 0 ? r : hasher_finish(&h, ret);
}
