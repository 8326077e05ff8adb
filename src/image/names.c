#include "image/names.h"

#include "image/fields.h"
#include "image/image.h"

#include "base/text.h"

#include <linux/limits.h>
#include <string.h>

#define LOWER_CASE_AND_DIGITS "abcdefghijklmnopqrstuvwxyz0123456789"
#define LETTERS_AND_DIGITS    "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER_CASE_AND_DIGITS
#define NAME_CHARACTERS       LETTERS_AND_DIGITS "._/:@+-"
#define FILE_CHARACTERS       LETTERS_AND_DIGITS "._-"

int image_name_check(const char *name, struct error *e)
{
    char shown[FIELD_SHOWN_MAX];

    if (!name[0])
        return error_set(e, -EINVAL, "an image name cannot be empty");
    show_foreign(name, shown);
    if (strlen(name) > IMAGE_NAME_MAX)
        return error_set(e, -EINVAL, "image name \"%s\": longer than %d characters", shown,
                         IMAGE_NAME_MAX);
    if (name[strspn(name, NAME_CHARACTERS)])
        return error_set(e, -EINVAL,
                         "image name \"%s\": only letters, digits and . _ / : @ + - are allowed",
                         shown);
    if (!strchr(LETTERS_AND_DIGITS, name[0]))
        return error_set(e, -EINVAL, "image name \"%s\": must begin with a letter or a digit",
                         shown);
    return 0;
}

int image_file_name(const char *name, char *buf, struct error *e)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t used = 0;

    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (used + 3 + sizeof(IMAGE_FILE_SUFFIX) > NAME_MAX + 1)
            return error_set(e, -ENAMETOOLONG, "image name \"%s\": too long for a file name", name);
        if (strchr(FILE_CHARACTERS, c)) {
            buf[used++] = *p;
            continue;
        }
        buf[used++] = '%';
        buf[used++] = digits[c >> 4];
        buf[used++] = digits[c & 15];
    }
    memcpy(buf + used, IMAGE_FILE_SUFFIX, sizeof(IMAGE_FILE_SUFFIX));
    return 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int image_name_from_file(const char *file, char *name)
{
    char again[NAME_MAX + 1];
    size_t length = strlen(file), suffix = strlen(IMAGE_FILE_SUFFIX), used = 0;

    if (length <= suffix || strcmp(file + length - suffix, IMAGE_FILE_SUFFIX) != 0)
        return -EINVAL;
    for (size_t i = 0; i < length - suffix; i++) {
        int c = (unsigned char)file[i];
        if (used >= IMAGE_NAME_MAX)
            return -EINVAL;
        if (c == '%') {
            int high = hex_value(file[i + 1]);
            int low = high < 0 ? -1 : hex_value(file[i + 2]);
            if (low < 0)
                return -EINVAL;
            c = high << 4 | low;
            i += 2;
        }
        name[used++] = (char)c;
    }
    name[used] = 0;
    if (image_name_check(name, NULL) < 0 || image_file_name(name, again, NULL) < 0)
        return -EINVAL;
    return strcmp(again, file) == 0 ? 0 : -EINVAL;
}

#define DOCKER_TAG_MAX 128

static bool is_tag(const char *text)
{
    size_t n = strspn(text, LETTERS_AND_DIGITS "_.-");

    return n > 0 && n <= DOCKER_TAG_MAX && !text[n] && text[0] != '.' && text[0] != '-';
}

static bool is_component(const char *text, size_t n, const char *characters)
{
    return n > 0 && strspn(text, characters) >= n && text[0] &&
           strchr(LETTERS_AND_DIGITS, text[0]) && strchr(LETTERS_AND_DIGITS, text[n - 1]);
}

/* [HOST[:PORT]/]COMPONENT[/COMPONENT...], as distribution/reference has them. */
static bool is_docker_name(const char *text, const char *end)
{
    for (const char *part = text;;) {
        size_t n = MIN(strcspn(part, "/"), (size_t)(end - part));
        bool host =
            part == text && part + n < end && (memchr(part, '.', n) || memchr(part, ':', n));
        if (!is_component(part, n, host ? LETTERS_AND_DIGITS "._:-" : LOWER_CASE_AND_DIGITS "._-"))
            return false;
        if (part + n == end)
            return true;
        part += n + 1;
    }
}

int docker_name_complete(char **name, struct error *e)
{
    const char *text = *name, *slash, *tag;
    char *complete;

    if (!text)
        return 0;
    slash = strrchr(text, '/');
    tag = strchr(slash ? slash : text, ':');
    if (!is_docker_name(text, tag ? tag : text + strlen(text)))
        return error_set(e, -EINVAL, "not a name that Docker takes: NAME[:TAG], in lower case");
    if (tag && !is_tag(tag + 1))
        return error_set(e, -EINVAL, "not a tag that Docker takes");
    complete = tag ? strdup(text) : text_printf("%s:latest", text);
    if (!complete)
        return error_sys(e, -ENOMEM, "image name");
    free(*name);
    *name = complete;
    return 0;
}
