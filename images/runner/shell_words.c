#include "shell_words.h"

#include "base/buffer.h"
#include "base/text.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Appends the quoted text at *P, which is at the opening quote, and leaves *P behind the closing
 * one. Between double quotes a backslash escapes only a double quote and itself. */
static int take_quoted(const char **p, struct buffer *word, struct error *e)
{
    char quote = *(*p)++;

    for (; **p != quote; (*p)++) {
        int k;
        if (quote == '"' && **p == '\\' && ((*p)[1] == '"' || (*p)[1] == '\\'))
            (*p)++;
        if (!**p)
            return error_set(e, -EINVAL, "No closing quotation");
        k = buffer_append(word, *p, 1);
        if (k < 0)
            return k;
    }
    (*p)++;
    return 0;
}

/* The word at *P, which is at its first character. */
static int take_word(const char **p, struct buffer *word, struct error *e)
{
    int k = 0;

    while (k >= 0 && **p && !is_space(**p)) {
        if (**p == '\'' || **p == '"') {
            k = take_quoted(p, word, e);
            continue;
        }
        if (**p == '\\' && !*++*p)
            return error_set(e, -EINVAL, "No escaped character");
        k = buffer_append(word, (*p)++, 1);
    }
    return k;
}

int shell_words(const char *command, char ***ret, struct error *e)
{
    _cleanup_strv_ char **list = NULL;
    int k = 0;

    for (const char *p = command; k >= 0;) {
        _cleanup_buffer_ struct buffer word = {.max = strlen(command) + 1};
        char *text;
        while (is_space(*p))
            p++;
        if (!*p)
            break;
        k = take_word(&p, &word, e);
        if (k < 0)
            break;
        text = buffer_string(&word);
        k = text ? strv_append(&list, text) : -ENOMEM;
    }
    if (k < 0)
        return k;
    *ret = TAKE_PTR(list);
    return 0;
}
