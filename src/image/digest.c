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
    const EVP_MD *md = algorithm == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256();
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (!context)
        return -ENOMEM;
    if (EVP_DigestInit_ex(context, md, NULL) != 1) {
        EVP_MD_CTX_free(context);
        return -EIO;
    }
    h->context = context;
    h->algorithm = algorithm;
    return 0;
}

int hasher_update(struct hasher *h, const void *data, size_t size)
{
    return EVP_DigestUpdate(h->context, data, size) == 1 ? 0 : -EIO;
}

int hasher_finish(struct hasher *h, struct digest *ret)
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int size = 0;

    if (EVP_DigestFinal_ex(h->context, raw, &size) != 1)
        return -EIO;
    ret->algorithm = h->algorithm;
    for (unsigned int i = 0; i < size; i++)
        snprintf(ret->hex + (size_t)2 * i, 3, "%02x", raw[i]);
    hasher_clear(h);
    return 0;
}

void hasher_clear(struct hasher *h)
{
    EVP_MD_CTX_free(h->context);
    h->context = NULL;
}

int digest_of(enum digest_algorithm algorithm, const void *data, size_t size, struct digest *ret)
{
    _cleanup_hasher_ struct hasher h = {0};
    int r = hasher_start(&h, algorithm);

    if (r >= 0)
        r = hasher_update(&h, data, size);
    return r < 0 ? r : hasher_finish(&h, ret);
}
