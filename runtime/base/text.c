#include "base/text.h"

#include <stdarg.h>
#include <string.h>

/* Reads digits; *ret_end is the first other character. */
static int parse_digits(const char *text, uint64_t max, uint64_t *ret, const char **ret_end)
{
    uint64_t value = 0;
    const char *p = text;

    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        value = value * 10 + digit;
    }
    if (p == text)
        return -EINVAL;
    if (value > max)
        return -ERANGE;
    *ret = value;
    *ret_end = p;
    return 0;
}

int text_parse_uint(const char *text, uint64_t max, uint64_t *ret)
{
    const char *end;
    uint64_t value;
    int r = parse_digits(text, max, &value, &end);

    if (r < 0)
        return r;
    if (*end)
        return -EINVAL;
    *ret = value;
    return 0;
}

int text_parse_size(const char *text, uint64_t max, uint64_t *ret)
{
    static const char suffixes[] = "kmgt";
    const char *end, *suffix;
    uint64_t value;
    int r = parse_digits(text, UINT64_MAX, &value, &end);

    if (r < 0)
        return r;
    if (*end) {
        unsigned shift;
        suffix = strchr(suffixes, *end | 0x20);
        if (!suffix || end[1])
            return -EINVAL;
        shift = 10 * (unsigned)(suffix - suffixes + 1);
        if (value > UINT64_MAX >> shift)
            return -ERANGE;
        value <<= shift;
    }
    if (value > max)
        return -ERANGE;
    *ret = value;
    return 0;
}

/* Length of the well-formed sequence at P of at most LEFT bytes, 0 where there is none. Table 3-7
 * of the Unicode standard. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t length;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    length = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < length)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return length;
}

/* How many bytes at P are ASCII for sure, in steps of eight. Submissions are mostly that. */
static size_t ascii_run(const uint8_t *p, size_t left)
{
    size_t n = 0;
    uint64_t word;

    for (; left - n >= sizeof(word); n += sizeof(word)) {
        memcpy(&word, p + n, sizeof(word));
        if (word & 0x8080808080808080)
            break;
    }
    return n;
}

bool text_is_utf8(const void *data, size_t size)
{
    const uint8_t *p = data;

    for (size_t at = 0; at < size;) {
        size_t n = ascii_run(p + at, size - at);
        if (n == 0)
            n = utf8_sequence(p + at, size - at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

char **strv_free(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
    return NULL;
}

void strv_free_p(char ***list)
{
    *list = strv_free(*list);
}

size_t strv_length(char *const *list)
{
    size_t n = 0;

    while (list && list[n])
        n++;
    return n;
}

int strv_append(char ***list, const char *text)
{
    size_t n = strv_length(*list);
    char *copy = strdup(text);
    char **grown = copy ? realloc(*list, (n + 2) * sizeof(char *)) : NULL;

    if (!grown) {
        free(copy);
        return -ENOMEM;
    }
    grown[n] = copy;
    grown[n + 1] = NULL;
    *list = grown;
    return 0;
}

char **strv_copy(char *const *list)
{
    _cleanup_strv_ char **copy = calloc(1, sizeof(char *));

    if (!copy)
        return NULL;
    for (; list && *list; list++)
        if (strv_append(&copy, *list) < 0)
            return NULL;
    return TAKE_PTR(copy);
}

char *text_clean_path(const char *path)
{
    char *clean = malloc(strlen(path) + 2);
    size_t end = 0;

    if (!clean)
        return NULL;
    while (*path) {
        size_t length = strcspn(path, "/");
        if (length == 2 && strncmp(path, "..", 2) == 0) {
            while (end > 0 && clean[--end] != '/')
                ;
        } else if (length > 0 && !(length == 1 && *path == '.')) {
            clean[end++] = '/';
            memcpy(clean + end, path, length);
            end += length;
        }
        path += length;
        path += *path == '/';
    }
    if (end == 0)
        clean[end++] = '/';
    clean[end] = 0;
    return clean;
}

char *text_printf(const char *format, ...)
{
    char *text;
    va_list ap;
    int n;

    va_start(ap, format);
    n = vasprintf(&text, format, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}
