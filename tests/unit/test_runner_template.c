/* links: runner */
/* Templates and translations of feedback: what tests/data/runner/commands.json does not show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "catalog.h"
#include "template.h"

#include "base/fdio.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct text no_translation(void *data, struct text text)
{
    (void)data;
    return text;
}

static int render(const char *source, struct text *ret, struct error *e)
{
    static struct pool pool;
    const struct template_translator none = {no_translation, NULL};
    struct json names = json_map();
    int k;

    pool_clear(&pool);
    assert_int_equal(json_set(&pool, &names, text_of("name"), json_text(text_of("you"))), 0);
    k = template_render(&pool, text_of(source), &names, &none, ret, e);
    return k;
}

/* TIMES times PART in the middle. */
static char *nested(const char *before, const char *middle, const char *after, size_t times)
{
    char *out = calloc(1, times * (strlen(before) + strlen(after)) + strlen(middle) + 16), *p = out;

    assert_non_null(out);
    for (size_t i = 0; i < times; i++)
        p = stpcpy(p, before);
    p = stpcpy(p, middle);
    for (size_t i = 0; i < times; i++)
        p = stpcpy(p, after);
    return out;
}

static void nesting_has_a_bound(void **state)
{
    static const size_t counts[] = {TEMPLATE_DEPTH_MAX - 5, 100000};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        char *conditions = nested("{% if name %}", "x", "{% endif %}", counts[i]);
        char *brackets = nested("(", "name", ")", counts[i]);
        char *expression = nested("{{ ", brackets, " }}", 1);
        struct error e = ERROR_INIT;
        struct text t;
        assert_int_equal(render(conditions, &t, &e), i ? -EINVAL : 0);
        assert_int_equal(render(expression, &t, &e), i ? -EINVAL : 0);
        free(conditions);
        free(brackets);
        free(expression);
    }
}

/* Whatever a template breaks off with is told, and nothing behind its end is read. */
static void a_template_may_end_anywhere(void **state)
{
    static const char source[] = "a {%- if name|default('x', true) == \"you\" and not (1 in name) "
                                 "-%} {{ _('t') ~ 5 }} {# c #}"
                                 "{%- raw %}{{{% endraw -%}{% set x = name|e if x else 'é' %}{% "
                                 "elif name is defined %}{% endif %}";

    (void)state;
    for (size_t n = 0; n < sizeof(source); n++) {
        char *part = strndup(source, n);
        struct error e = ERROR_INIT;
        struct text t;
        int k = render(part, &t, &e);
        assert_true(k == 0 ||
                    ((k == -EINVAL || k == -EOPNOTSUPP) && strncmp(e.text, "line 1: ", 8) == 0));
        free(part);
    }
}

/* A catalogue with two entries, and the header that each has. */
#define ENTRIES 3
static const char *const keys[ENTRIES] = {"", "hello", "world"};
static const char *const values[ENTRIES] = {"Content-Type: text/plain; charset=UTF-8\n",
                                            "bonjour é", "monde"};

static void put32(char *at, uint32_t n, bool swapped)
{
    n = swapped ? __builtin_bswap32(n) : n;
    memcpy(at, &n, sizeof(n));
}

static size_t make_catalog(char *out, bool swapped)
{
    const uint32_t header[] = {0x950412de, 0, ENTRIES, 28, 28 + 8 * ENTRIES, 0, 0};
    size_t at = 28 + 16 * ENTRIES;

    for (size_t i = 0; i < ARRAY_SIZE(header); i++)
        put32(out + 4 * i, header[i], swapped);
    for (size_t i = 0; i < 2 * ENTRIES; i++) {
        const char *text = i < ENTRIES ? keys[i] : values[i - ENTRIES];
        put32(out + 28 + 8 * i, (uint32_t)strlen(text), swapped);
        put32(out + 32 + 8 * i, (uint32_t)at, swapped);
        strcpy(out + at, text);
        at += strlen(text) + 1;
    }
    return at;
}

struct place {
    char path[64];
    int root_fd;
};

static void place_make(struct place *p)
{
    static const char *const dirs[] = {"task", "task/lang", "task/lang/fr_FR",
                                       "task/lang/fr_FR/LC_MESSAGES"};

    strcpy(p->path, "/tmp/dockless-test-XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->root_fd = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p->root_fd >= 0);
    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        assert_int_equal(mkdirat(p->root_fd, dirs[i], 0755), 0);
}

static void write_catalog(const struct place *p, const char *bytes, size_t size)
{
    int fd = openat(p->root_fd, "task/lang/fr_FR/LC_MESSAGES/messages.mo",
                    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, bytes, size), 0);
    close(fd);
}

static void place_remove(struct place *p)
{
    close(p->root_fd);
    assert_int_equal(fd_remove_tree(AT_FDCWD, p->path), 0);
}

static void texts_are_translated_into_the_students_language(void **state)
{
    static const char *const languages[] = {"fr_FR",    "fr", "fr_FR.UTF-8", "fr_BE", "de",
                                            "../fr_FR", ""};
    char bytes[1024];
    struct place p;

    (void)state;
    place_make(&p);
    for (int swapped = 0; swapped < 2; swapped++) {
        write_catalog(&p, bytes, make_catalog(bytes, swapped));
        for (size_t i = 0; i < ARRAY_SIZE(languages); i++) {
            _cleanup_catalogs_ struct catalogs c;
            catalogs_open(p.root_fd, languages[i], &c);
            assert_string_equal(catalogs_translate(&c, text_of("hello")).data,
                                i < 3 ? "bonjour é" : "hello");
            assert_string_equal(catalogs_translate(&c, text_of("absent")).data, "absent");
        }
    }
    place_remove(&p);
}

static void damaged_catalogues_are_read_without_harm(void **state)
{
    char bytes[1024], broken[1024];
    size_t size = make_catalog(bytes, false);
    struct place p;

    (void)state;
    place_make(&p);
    for (size_t i = 0; i < size; i++) {
        for (int how = 0; how < 2; how++) {
            _cleanup_catalogs_ struct catalogs c;
            struct text t;
            memcpy(broken, bytes, size);
            broken[i] = (char)(broken[i] ^ 0xff);
            write_catalog(&p, broken, how ? size : i);
            catalogs_open(p.root_fd, "fr_FR", &c);
            t = catalogs_translate(&c, text_of("world"));
            assert_true(strlen(t.data) == t.size);
            if (!how)
                assert_string_equal(t.data, "world");
        }
    }
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_has_a_bound),
        cmocka_unit_test(a_template_may_end_anywhere),
        cmocka_unit_test(texts_are_translated_into_the_students_language),
        cmocka_unit_test(damaged_catalogues_are_read_without_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
