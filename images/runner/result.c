#include "result.h"

#include "base64.h"
#include "words.h"

#include "base/fdio.h"
#include "wire/pack.h"

#include <stdlib.h>
#include <string.h>

#define NO_FEEDBACK "No feedback was given !"
/* A multiple of 3, so that only the last piece is padded. */
#define ARCHIVE_PIECE ((size_t)48 << 10)

static void pack_json(struct wire_pack *p, const struct json *v);

/* An integer beyond int64: msgpack has those up to uint64, Python's packer refuses more. */
static void pack_big(struct wire_pack *p, struct text digits)
{
    uint8_t bytes[9] = {0xcf};
    unsigned long long value;

    errno = 0;
    value = strtoull(digits.data, NULL, 10);
    if (errno || *digits.data == '-') {
        wire_pack_float(p, strtod(digits.data, NULL));
        return;
    }
    for (int i = 8; i > 0; i--, value >>= 8)
        bytes[i] = (uint8_t)value;
    wire_pack_raw(p, (struct wire_span){bytes, sizeof(bytes)});
}

/* NOLINTNEXTLINE(misc-no-recursion): see pack_json */
static void pack_member(struct wire_pack *p, const struct json_member *m)
{
    wire_pack_str(p, m->key.data, m->key.size);
    pack_json(p, &m->value);
}

/* NOLINTNEXTLINE(misc-no-recursion): trees come from json_parse(): JSON_DEPTH_MAX */
static void pack_json(struct wire_pack *p, const struct json *v)
{
    switch (v->kind) {
    case JSON_NULL:
        wire_pack_nil(p);
        break;
    case JSON_BOOL:
        wire_pack_bool(p, v->boolean);
        break;
    case JSON_INTEGER:
        wire_pack_int(p, v->integer);
        break;
    case JSON_BIG:
        pack_big(p, v->text);
        break;
    case JSON_REAL:
        wire_pack_float(p, v->real);
        break;
    case JSON_TEXT:
        wire_pack_str(p, v->text.data, v->text.size);
        break;
    case JSON_LIST:
        wire_pack_array(p, v->list.count);
        for (size_t i = 0; i < v->list.count; i++)
            pack_json(p, &v->list.items[i]);
        break;
    case JSON_MAP:
        wire_pack_map(p, v->map.count);
        for (size_t i = 0; i < v->map.count; i++)
            pack_member(p, &v->map.members[i]);
        break;
    }
}

/* Whether the key of a feedback gives way to what PID 1 says. */
static bool is_ours(const struct result *r, struct text key)
{
    return (r->archive >= 0 && strcmp(key.data, "archive") == 0) ||
           (r->debug && (strcmp(key.data, "stdout") == 0 || strcmp(key.data, "stderr") == 0));
}

static size_t pack_feedback(struct wire_pack *p, const struct result *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->feedback->map.count; i++) {
        const struct json_member *m = &r->feedback->map.members[i];
        if (is_ours(r, m->key))
            continue;
        n++;
        if (p)
            pack_member(p, m);
    }
    return n;
}

static void pack_crash(struct wire_pack *p, const char *text)
{
    wire_pack_text(p, "result");
    wire_pack_text(p, "crash");
    wire_pack_text(p, "text");
    wire_pack_text(p, text);
    wire_pack_text(p, "problems");
    wire_pack_map(p, 0);
    wire_pack_text(p, "tests");
    wire_pack_map(p, 0);
}

/* The whole message but for the archive's characters, of which ARCHIVE_LENGTH will follow. */
static int pack_result(struct wire_pack *p, const struct result *r, size_t archive_length)
{
    bool feedback = !r->crash && r->feedback;
    size_t count = feedback ? pack_feedback(NULL, r) : 4;

    wire_pack_map(p, 2);
    wire_pack_text(p, "type");
    wire_pack_text(p, "result");
    wire_pack_text(p, "result");
    wire_pack_map(p, count + (r->debug ? 2 : 0) + (r->archive >= 0 ? 1 : 0));
    if (feedback)
        pack_feedback(p, r);
    else
        pack_crash(p, r->crash ? r->crash : NO_FEEDBACK);
    if (r->debug) {
        wire_pack_text(p, "stdout");
        wire_pack_str(p, (const char *)r->out.data, r->out.size);
        wire_pack_text(p, "stderr");
        wire_pack_str(p, (const char *)r->err.data, r->err.size);
    }
    if (r->archive >= 0) {
        const uint8_t head[5] = {0xdb, (uint8_t)(archive_length >> 24),
                                 (uint8_t)(archive_length >> 16), (uint8_t)(archive_length >> 8),
                                 (uint8_t)archive_length}; /* str 32 */
        wire_pack_text(p, "archive");
        wire_pack_raw(p, (struct wire_span){head, sizeof(head)});
    }
    return p->error;
}

static int send_archive(int fd, int archive)
{
    uint8_t bytes[ARCHIVE_PIECE];
    char text[ARCHIVE_PIECE / 3 * 4];
    ssize_t n;

    while ((n = fd_read_full(archive, bytes, sizeof(bytes))) > 0) {
        int k;
        base64_encode(bytes, (size_t)n, text);
        k = fd_write_full(fd, text, base64_size((size_t)n));
        if (k < 0)
            return k;
    }
    return (int)n;
}

int result_send(int fd, const struct result *r, struct error *e)
{
    _cleanup_buffer_ struct buffer body = {.max = WIRE_FRAME_MAX};
    struct wire_pack p = {.out = &body};
    size_t archive = r->archive >= 0 ? base64_size((size_t)r->archive_size) : 0, size;
    uint8_t length[4];
    int k = pack_result(&p, r, archive);

    if (k == -EMSGSIZE || (k >= 0 && body.size + archive > WIRE_FRAME_MAX))
        return error_set(e, -EMSGSIZE, "the result is larger than %zu MiB", WIRE_FRAME_MAX >> 20);
    if (k < 0)
        return error_sys(e, k, "the result");
    size = body.size + archive;
    for (int i = 3; i >= 0; i--, size >>= 8)
        length[i] = (uint8_t)size;
    k = fd_write_full(fd, length, sizeof(length));
    if (k >= 0)
        k = fd_write_full(fd, body.data, body.size);
    if (k >= 0 && archive)
        k = send_archive(fd, r->archive);
    return k < 0 ? error_sys(e, k, "send the result") : 0;
}
