/* links: image */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "image/inflate.h"
#include "image/tar.h"
#include "image/tar_internal.h"

#include <string.h>

/* A stream that comes in runs of a given size. */
struct stream {
    const uint8_t *data;
    size_t size, run;
};

static ssize_t fill(void *userdata, const uint8_t **ret, struct error *e)
{
    struct stream *s = userdata;
    size_t n = MIN(s->run, s->size);

    (void)e;
    *ret = s->data;
    s->data += n;
    s->size -= n;
    return (ssize_t)n;
}

static void add_header(struct buffer *b, char type, const char *name, uint64_t size)
{
    static const char magic[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
    char block[TAR_BLOCK] = {0};
    unsigned sum = 0;

    snprintf(block, 100, "%s", name);
    snprintf(block + 100, 8, "%07o", 04755u);
    snprintf(block + 108, 8, "%07o", 1u);
    snprintf(block + 116, 8, "%07o", 2u);
    snprintf(block + 124, 12, "%011llo", (unsigned long long)size);
    snprintf(block + 136, 12, "%011o", 99u);
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, magic, sizeof(magic));
    for (size_t i = 0; i < sizeof(block); i++)
        sum += (uint8_t)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    assert_int_equal(buffer_append(b, block, sizeof(block)), 0);
}

static void add_data(struct buffer *b, const void *data, size_t size)
{
    static const uint8_t zeros[TAR_BLOCK];

    assert_int_equal(buffer_append(b, data, size), 0);
    assert_int_equal(buffer_append(b, zeros, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK), 0);
}

static void add_end(struct buffer *b)
{
    static const uint8_t zeros[2 * TAR_BLOCK];

    assert_int_equal(buffer_append(b, zeros, sizeof(zeros)), 0);
}

static void add_pax(struct buffer *b, const char *records, size_t size)
{
    add_header(b, 'x', "PaxHeaders/x", size);
    add_data(b, records, size);
}

static struct tar_reader *open_stream(struct stream *s)
{
    struct tar_reader *t = NULL;

    assert_int_equal(tar_reader_new(fill, s, &t), 0);
    return t;
}

static size_t read_data(struct tar_reader *t, uint8_t *to)
{
    const uint8_t *data;
    uint64_t offset = 0;
    size_t n, total = 0;
    int r;

    while ((r = tar_data(t, &data, &n, &offset, NULL)) > 0) {
        memcpy(to + offset, data, n);
        total += n;
    }
    assert_int_equal(r, 0);
    return total;
}

static void make_archive(struct buffer *b)
{
    static const char pax[] = "21 path=a/long/name\n\n"
                              "30 mtime=1234567890.123456789\n"
                              "28 SCHILY.xattr.user.a=x\0y=\n";
    uint8_t content[1500];

    memset(content, 'c', sizeof(content));
    add_pax(b, pax, sizeof(pax) - 1);
    add_header(b, '0', "short", sizeof(content));
    add_data(b, content, sizeof(content));
    add_header(b, '0', "skipped", 700);
    add_data(b, content, 700);
    add_header(b, '5', "dir/", 0);
    add_header(b, '0', "last", 3);
    add_data(b, "end", 3);
    add_end(b);
}

static void the_size_of_runs_does_not_matter(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};

    (void)state;
    make_archive(&b);
    for (size_t run = 1; run <= 2 * TAR_BLOCK + 1; run += run < 8 ? 1 : 73) {
        struct stream s = {b.data, b.size, run};
        _cleanup_(tar_reader_free_p) struct tar_reader *t = open_stream(&s);
        const struct tar_entry *entry = NULL;
        uint8_t content[2000] = {0};

        assert_int_equal(tar_next(t, &entry, NULL), 0);
        assert_string_equal(entry->path, "a/long/name\n");
        assert_int_equal(entry->mtime.tv_sec, 1234567890);
        assert_int_equal(entry->mtime.tv_nsec, 123456789);
        assert_int_equal(entry->mode, 04755);
        assert_int_equal(entry->uid, 1);
        assert_int_equal(entry->gid, 2);
        assert_int_equal(entry->n_xattrs, 1);
        assert_string_equal(entry->xattrs[0].name, "user.a");
        assert_int_equal(entry->xattrs[0].size, 4);
        assert_memory_equal(entry->xattrs[0].value, "x\0y=", 4);
        assert_int_equal(read_data(t, content), 1500);
        assert_int_equal(content[1499], 'c');
        assert_int_equal(tar_next(t, &entry, NULL), 0);
        assert_string_equal(entry->path, "skipped");
        assert_int_equal(entry->n_xattrs, 0);
        assert_int_equal(entry->mtime.tv_sec, 99);
        assert_int_equal(tar_next(t, &entry, NULL), 0);
        assert_int_equal(entry->type, TAR_DIRECTORY);
        assert_int_equal(tar_next(t, &entry, NULL), 0);
        assert_int_equal(read_data(t, content), 3);
        assert_memory_equal(content, "end", 3);
        assert_int_equal(tar_next(t, &entry, NULL), 0);
        assert_null(entry);
        assert_int_equal(tar_next(t, &entry, NULL), 0);
        assert_null(entry);
    }
}

static void every_truncation_is_noticed(void **state)
{
    _cleanup_buffer_ struct buffer b = {0};
    size_t clean_ends = 0;

    (void)state;
    make_archive(&b);
    for (size_t size = 1; size + 2 * TAR_BLOCK < b.size; size++) {
        struct stream s = {b.data, size, 4096};
        _cleanup_(tar_reader_free_p) struct tar_reader *t = open_stream(&s);
        const struct tar_entry *entry = NULL;
        int r;

        while ((r = tar_next(t, &entry, NULL)) == 0 && entry)
            ;
        if (r == 0)
            clean_ends++;
        else
            assert_int_equal(r, -EBADMSG);
    }
    /* Right behind "short", "skipped" and "dir/", and where only padding is missing: behind the
     * data of "short", "skipped" and "last". */
    assert_int_equal(clean_ends, 6);
}

static void numbers_of_headers(void **state)
{
    static const struct {
        const char *field;
        size_t size;
        int result;
        uint64_t value;
    } cases[] = {
        {"0000644\0", 8, 0, 0644},
        {"  644 \0\0", 8, 0, 0644},
        {"77777777", 8, 0, 077777777},
        {"\0\0\0\0\0\0\0\0", 8, 0, 0},
        {"        ", 8, 0, 0},
        {"\x80\0\0\0\0\0\1\0", 8, 0, 256},
        {"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12, 0, INT64_MAX},
        {"\xff\xff\xff\xff\xff\xff\xff\xff", 8, -EBADMSG, 0},
        {"\x80\1\0\0\0\0\0\0\0\0\0\0", 12, -EBADMSG, 0},
        {"000x644\0", 8, -EBADMSG, 0},
        {"0000888\0", 8, -EBADMSG, 0},
        {"-000001\0", 8, -EBADMSG, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint64_t value = 0;
        assert_int_equal(tar_number((const uint8_t *)cases[i].field, cases[i].size, &value),
                         cases[i].result);
        assert_true(value == cases[i].value);
    }
}

static void pax_times(void **state)
{
    static const struct {
        const char *text;
        int result;
        int64_t seconds;
        long nsec;
    } cases[] = {
        {"0", 0, 0, 0},
        {"1.5", 0, 1, 500000000},
        {"1.", 0, 1, 0},
        {"1.0000000019", 0, 1, 1},
        {"-1", 0, -1, 0},
        {"-1.25", 0, -2, 750000000},
        {"-0.5", 0, -1, 500000000},
        {".5", -EBADMSG, 0, 0},
        {"1.x", -EBADMSG, 0, 0},
        {"1.5.5", -EBADMSG, 0, 0},
        {"+1", -EBADMSG, 0, 0},
        {"1e3", -EBADMSG, 0, 0},
        {"9223372036854775808", -EBADMSG, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct tar_extra x = {0};
        char record[64];
        size_t length = strlen(cases[i].text) + strlen("10 mtime=\n");
        /* All of them are between 10 and 99 bytes long. */
        snprintf(record, sizeof(record), "%zu mtime=%s\n", length, cases[i].text);
        if (length == 10)
            continue;
        assert_int_equal(tar_parse_pax(&x, record, length, NULL), cases[i].result);
        if (cases[i].result == 0) {
            assert_int_equal(x.mtime.tv_sec, cases[i].seconds);
            assert_int_equal(x.mtime.tv_nsec, cases[i].nsec);
        }
        tar_extra_clear(&x);
    }
}

static void an_empty_pax_value_takes_the_record_back(void **state)
{
    char records[] = "9 path=x\n8 path=\n7 uid=\n";
    struct tar_extra x = {.has_uid = true, .uid = 5};

    (void)state;
    assert_int_equal(tar_parse_pax(&x, records, sizeof(records) - 1, NULL), 0);
    assert_null(x.path);
    assert_false(x.has_uid);
    tar_extra_clear(&x);
}

/* Compressed bytes that come in pieces. */
static ssize_t read_piece(void *userdata, void *data, size_t size)
{
    struct stream *s = userdata;
    size_t n = MIN(MIN(s->run, s->size), size);

    memcpy(data, s->data, n);
    s->data += n;
    s->size -= n;
    return (ssize_t)n;
}

/* printf 'hello, hello, hello\n' | gzip -n */
static const uint8_t gzip_hello[] = {0x1f, 0x8b, 8,    0,    0,    0,    0,    0,    0,    3,
                                     0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xd7, 0x51, 0xc8, 0x40, 0xa2,
                                     0xb8, 0,    0xe7, 0x42, 0x6e, 0x52, 0x14, 0,    0,    0};
static const char hello[] = "hello, hello, hello\n";

static ssize_t inflate(const uint8_t *data, size_t size, size_t run, size_t step, char *to)
{
    struct stream s = {data, size, run};
    _cleanup_(inflater_free_p) struct inflater *i = NULL;
    ssize_t total = 0, n;

    assert_int_equal(inflater_new(LAYER_GZIP, read_piece, &s, &i), 0);
    while ((n = inflater_read(i, to + total, step, NULL)) > 0)
        total += n;
    return n < 0 ? n : total;
}

static void gzip_comes_and_goes_in_any_pieces(void **state)
{
    uint8_t twice[2 * sizeof(gzip_hello)];
    char text[256];

    (void)state;
    memcpy(twice, gzip_hello, sizeof(gzip_hello));
    memcpy(twice + sizeof(gzip_hello), gzip_hello, sizeof(gzip_hello));
    for (size_t run = 1; run < sizeof(twice) + 2; run++) {
        for (size_t step = 1; step < 50; step += 7) {
            assert_int_equal(inflate(twice, sizeof(twice), run, step, text), 40);
            assert_memory_equal(text, hello, 20);
            assert_memory_equal(text + 20, hello, 20);
        }
    }
}

static void gzip_cut_anywhere_is_damage(void **state)
{
    char text[256];

    (void)state;
    for (size_t size = 0; size < sizeof(gzip_hello); size++)
        assert_int_equal(inflate(gzip_hello, size, 4096, 128, text), -EBADMSG);
    assert_int_equal(inflate(gzip_hello, sizeof(gzip_hello), 4096, 128, text), 20);
}

static void gzip_with_any_bit_flipped_is_damage(void **state)
{
    /* The header's time, its hints and operating system mean nothing. */
    static const size_t meaningless[] = {4, 5, 6, 7, 8, 9};
    char text[4096];

    (void)state;
    for (size_t bit = 0; bit < 8 * sizeof(gzip_hello); bit++) {
        uint8_t data[sizeof(gzip_hello)];
        bool matters = true;
        ssize_t n;
        memcpy(data, gzip_hello, sizeof(data));
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        for (size_t i = 0; i < ARRAY_SIZE(meaningless); i++)
            matters &= bit / 8 != meaningless[i];
        n = inflate(data, sizeof(data), 4096, 128, text);
        /* FTEXT and the reserved flags may pass; what comes out is still right then. */
        if (matters && n != -EBADMSG)
            assert_true(bit / 8 == 3 && n == 20 && memcmp(text, hello, 20) == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_size_of_runs_does_not_matter),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(numbers_of_headers),
        cmocka_unit_test(pax_times),
        cmocka_unit_test(an_empty_pax_value_takes_the_record_back),
        cmocka_unit_test(gzip_comes_and_goes_in_any_pieces),
        cmocka_unit_test(gzip_cut_anywhere_is_damage),
        cmocka_unit_test(gzip_with_any_bit_flipped_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
