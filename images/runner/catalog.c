#include "catalog.h"

#include "base/fdio.h"
#include "base/text.h"

#include <string.h>

#define LANG_DIR "task/lang"
#define MAGIC    0x950412deU
/* Magic, version, count, and where the tables of texts and translations begin. */
#define HEADER_SIZE 20
/* A length and a place, of each text. */
#define ENTRY_SIZE 8
#define NAME_MAX_  64

/* The country that stands behind a language where none is named, as locale(7) aliases have it; for
 * others it is the language itself. */
static const char *const countries[][2] = {{"ar", "EG"}, {"cs", "CZ"}, {"da", "DK"}, {"el", "GR"},
                                           {"en", "US"}, {"et", "EE"}, {"he", "IL"}, {"ja", "JP"},
                                           {"ko", "KR"}, {"nb", "NO"}, {"sl", "SI"}, {"sv", "SE"},
                                           {"uk", "UA"}, {"vi", "VN"}, {"zh", "CN"}};

static uint32_t number_at(struct text file, size_t at, bool swapped)
{
    uint32_t n;

    memcpy(&n, file.data + at, sizeof(n));
    return swapped ? __builtin_bswap32(n) : n;
}

/* The text that entry I of the table at TABLE stands for; data NULL where that is not in FILE. */
static struct text entry(struct text file, uint32_t table, uint32_t i, bool swapped)
{
    size_t at = (size_t)table + (size_t)i * ENTRY_SIZE;
    uint32_t size, start;

    if (at + ENTRY_SIZE > file.size)
        return (struct text){NULL, 0};
    size = number_at(file, at, swapped);
    start = number_at(file, at + 4, swapped);
    /* A NUL behind, as everything here has. */
    if ((size_t)start + size >= file.size || file.data[(size_t)start + size])
        return (struct text){NULL, 0};
    return (struct text){file.data + start, size};
}

static bool find(struct text file, struct text text, struct text *ret)
{
    bool swapped;
    uint32_t count;

    if (file.size < HEADER_SIZE)
        return false;
    swapped = number_at(file, 0, false) != MAGIC;
    if (number_at(file, 0, swapped) != MAGIC)
        return false;
    count = number_at(file, 8, swapped);
    for (uint32_t i = 0; i < count; i++) {
        struct text key = entry(file, number_at(file, 12, swapped), i, swapped);
        if (!key.data)
            return false;
        if (key.size != text.size || memcmp(key.data, text.data, key.size) != 0)
            continue;
        *ret = entry(file, number_at(file, 16, swapped), i, swapped);
        return ret->data && text_is_utf8(ret->data, ret->size);
    }
    return false;
}

struct text catalogs_translate(void *data, struct text text)
{
    const struct catalogs *c = data;
    struct text found;

    for (size_t i = 0; i < c->n; i++)
        if (find(c->files[i], text, &found))
            return found;
    return text;
}

static void open_one(struct catalogs *c, int dir_fd, const char *language)
{
    char path[NAME_MAX_ + 32];
    _cleanup_buffer_ struct buffer b = {.max = 2 * CATALOG_SIZE_MAX};
    char *copy;

    snprintf(path, sizeof(path), "%s/LC_MESSAGES/messages.mo", language);
    if (fd_read_file(dir_fd, path, &b, CATALOG_SIZE_MAX) < 0)
        return;
    copy = pool_copy(&c->pool, b.data, b.size);
    if (copy)
        c->files[c->n++] = (struct text){copy, b.size};
}

void catalogs_open(int root_fd, const char *language, struct catalogs *ret)
{
    _cleanup_close_ int dir_fd = fd_openat2(root_fd, LANG_DIR, O_RDONLY | O_DIRECTORY, 0, 0);
    size_t n = strcspn(language, "_.@");
    char name[NAME_MAX_];

    *ret = (struct catalogs){.n = 0};
    /* It comes with the submission: a name, not a path. */
    if (dir_fd < 0 || strlen(language) + 4 > sizeof(name) || !n || strchr(language, '/'))
        return;
    if (language[n]) {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(language, ".@"), language);
        open_one(ret, dir_fd, name);
    } else if (n == 2) {
        const char *country = NULL;
        for (size_t i = 0; i < ARRAY_SIZE(countries); i++)
            if (strcmp(countries[i][0], language) == 0)
                country = countries[i][1];
        snprintf(name, sizeof(name), "%s_%c%c", language,
                 country ? country[0] : language[0] & ~0x20,
                 country ? country[1] : language[1] & ~0x20);
        open_one(ret, dir_fd, name);
    }
    snprintf(name, sizeof(name), "%.*s", (int)n, language);
    open_one(ret, dir_fd, name);
}

void catalogs_clear(struct catalogs *c)
{
    pool_clear(&c->pool);
    c->n = 0;
}
