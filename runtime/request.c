#include "request.h"

#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* The length that stands for "there is no text" (a NULL pointer). */
#define NO_TEXT UINT32_MAX

#define STDIO_BITS 7U
#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* --- writing: the first failure sticks ---------------------------------------------------- */

struct writer {
    struct buffer *b;
    int code;
};

static void put(struct writer *w, const void *data, size_t size)
{
    if (w->code == 0)
        w->code = buffer_append(w->b, data, size);
}

static void put_u32(struct writer *w, uint32_t value)
{
    put(w, &value, sizeof(value));
}

static void put_u64(struct writer *w, uint64_t value)
{
    put(w, &value, sizeof(value));
}

static void put_text(struct writer *w, const char *text)
{
    size_t length = text ? strlen(text) : 0;

    if (length >= NO_TEXT) {
        w->code = -EMSGSIZE;
        return;
    }
    put_u32(w, text ? (uint32_t)length : NO_TEXT);
    put(w, text, length);
}

static void put_list(struct writer *w, char *const *list)
{
    put_u32(w, (uint32_t)strv_length(list));
    for (; list && *list; list++)
        put_text(w, *list);
}

static void put_header(struct writer *w, uint32_t magic, uint32_t type, uint64_t id)
{
    put_u32(w, magic);
    put_u32(w, type);
    put_u64(w, id);
}

/* --- reading: the first fault sticks, everything after it reads as 0 ----------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
    int code;
    struct error *e;
};

static void fault(struct reader *r, const char *field, const char *what)
{
    if (r->code == 0)
        r->code = error_set(r->e, -EBADMSG, "%s %s", field, what);
}

static void no_memory(struct reader *r, const char *field)
{
    if (r->code == 0)
        r->code = error_sys(r->e, -ENOMEM, "%s", field);
}

static void get(struct reader *r, const char *field, void *ret, size_t size)
{
    if (r->code == 0 && size > r->left)
        fault(r, field, "is cut off");
    if (r->code < 0) {
        memset(ret, 0, size);
        return;
    }
    memcpy(ret, r->at, size);
    r->at += size;
    r->left -= size;
}

static uint32_t get_u32(struct reader *r, const char *field)
{
    uint32_t value;

    get(r, field, &value, sizeof(value));
    return value;
}

static uint64_t get_u64(struct reader *r, const char *field)
{
    uint64_t value;

    get(r, field, &value, sizeof(value));
    return value;
}

static uint16_t get_u16(struct reader *r, const char *field)
{
    uint32_t value = get_u32(r, field);

    if (value > UINT16_MAX)
        fault(r, field, "is too large");
    return (uint16_t)value;
}

static bool get_bool(struct reader *r, const char *field)
{
    uint32_t value = get_u32(r, field);

    if (value > 1)
        fault(r, field, "is neither yes nor no");
    return value == 1;
}

/* A count of items that take at least ITEM bytes each: what is claimed must be there, so that a
 * small message cannot ask for much memory. */
static size_t get_count(struct reader *r, const char *field, size_t max, size_t item)
{
    size_t count = get_u32(r, field);

    if (count > max)
        fault(r, field, "has too many entries");
    else if (count > r->left / item)
        fault(r, field, "is cut off");
    return r->code < 0 ? 0 : count;
}

/* Length of the text that follows, at most MAX bytes without NUL; NO_TEXT where there is none. */
static uint32_t get_length(struct reader *r, const char *field, size_t max)
{
    uint32_t length = get_u32(r, field);

    if (r->code < 0 || length == NO_TEXT)
        return length;
    if (length > max)
        fault(r, field, "is too long");
    else if (length > r->left)
        fault(r, field, "is cut off");
    else if (memchr(r->at, 0, length))
        fault(r, field, "has a NUL in it");
    return r->code < 0 ? 0 : length;
}

static char *get_optional_text(struct reader *r, const char *field, size_t max)
{
    uint32_t length = get_length(r, field, max);
    char *text;

    if (r->code < 0 || length == NO_TEXT)
        return NULL;
    text = malloc((size_t)length + 1);
    if (!text) {
        no_memory(r, field);
        return NULL;
    }
    get(r, field, text, length);
    text[length] = 0;
    return text;
}

static char *get_text(struct reader *r, const char *field, size_t max)
{
    char *text = get_optional_text(r, field, max);

    if (!text)
        fault(r, field, "is missing");
    return text;
}

/* Into an array of SIZE bytes. */
static void get_text_into(struct reader *r, const char *field, char *ret, size_t size)
{
    uint32_t length = get_length(r, field, size - 1);

    if (length == NO_TEXT)
        fault(r, field, "is missing");
    if (r->code < 0)
        length = 0;
    get(r, field, ret, length);
    ret[length] = 0;
}

static char **get_list(struct reader *r, const char *field, size_t max, size_t text_max)
{
    size_t n = get_count(r, field, max, sizeof(uint32_t));
    char **list;

    if (r->code < 0)
        return NULL;
    list = calloc(n + 1, sizeof(char *));
    if (!list) {
        no_memory(r, field);
        return NULL;
    }
    for (size_t i = 0; i < n && r->code == 0; i++)
        list[i] = get_text(r, field, text_max);
    return list;
}

static int finish(struct reader *r)
{
    if (r->left > 0)
        fault(r, "message", "has bytes behind its end");
    return r->code;
}

/* --- numbers of a struct, field by field ---------------------------------------------------- */

struct number {
    const char *field;
    size_t offset; /* of a uint64_t */
};

static void put_numbers(struct writer *w, const void *from, const struct number *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put(w, (const char *)from + numbers[i].offset, sizeof(uint64_t));
}

static void get_numbers(struct reader *r, void *to, const struct number *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        get(r, numbers[i].field, (char *)to + numbers[i].offset, sizeof(uint64_t));
}

#define LIMIT(name)                                                                                \
    {                                                                                              \
        "limits." #name, offsetof(struct sandbox_limits, name)                                     \
    }

static const struct number limits[] = {
    LIMIT(memory_bytes), LIMIT(pids),      LIMIT(cpu_time_usec), LIMIT(wall_time_usec),
    LIMIT(nofile),       LIMIT(shm_bytes), LIMIT(disk_bytes),    LIMIT(disk_inodes),
    LIMIT(output_bytes), LIMIT(cpu_share), LIMIT(io_weight),
};

#define COUNTER(name)                                                                              \
    {                                                                                              \
#name, offsetof(struct sandbox_report, name)                                               \
    }

static const struct number counters[] = {
    COUNTER(user_usec),
    COUNTER(system_usec),
    COUNTER(wall_usec),
    COUNTER(memory_peak),
    COUNTER(pids_peak),
    COUNTER(read_bytes),
    COUNTER(write_bytes),
    COUNTER(voluntary_switches),
    COUNTER(involuntary_switches),
    COUNTER(oom_kills),
    COUNTER(throttled_periods),
    COUNTER(throttled_usec),
    COUNTER(output_bytes),
    COUNTER(cpu_pressure.some_usec),
    COUNTER(cpu_pressure.full_usec),
    COUNTER(memory_pressure.some_usec),
    COUNTER(memory_pressure.full_usec),
    COUNTER(io_pressure.some_usec),
    COUNTER(io_pressure.full_usec),
};

/* --- the spec, field by field --------------------------------------------------------------- */

static void put_mount(struct writer *w, const struct sandbox_mount *m)
{
    put_u32(w, m->kind);
    put_u32(w, m->root);
    put_text(w, m->source ? m->source : "");
    put_text(w, m->target);
    put_u64(w, m->size);
    put_u32(w, m->mode);
    put_u32(w, m->read_only);
    put_u32(w, m->follow_links);
    put_u32(w, m->optional);
    put_u32(w, m->keep);
    put_u32(w, m->keep_root);
    put_u32(w, (uint32_t)m->n_dirs);
    for (size_t i = 0; i < m->n_dirs; i++) {
        put_text(w, m->dirs[i].path);
        put_u32(w, m->dirs[i].mode);
    }
}

static void get_mount(struct reader *r, struct sandbox_mount *m)
{
    size_t n;

    m->kind = get_u32(r, "mount.kind");
    m->root = get_u32(r, "mount.root");
    m->source = get_text(r, "mount.source", SANDBOX_PATH_MAX - 1);
    m->target = get_text(r, "mount.target", SANDBOX_PATH_MAX - 1);
    m->size = get_u64(r, "mount.size");
    m->mode = get_u32(r, "mount.mode");
    m->read_only = get_bool(r, "mount.read_only");
    m->follow_links = get_bool(r, "mount.follow_links");
    m->optional = get_bool(r, "mount.optional");
    m->keep = get_bool(r, "mount.keep");
    m->keep_root = get_u32(r, "mount.keep_root");
    n = get_count(r, "mount.dirs", SANDBOX_DIRS_MAX, 2 * sizeof(uint32_t));
    if (n == 0)
        return;
    m->dirs = calloc(n, sizeof(*m->dirs));
    if (!m->dirs) {
        no_memory(r, "mount.dirs");
        return;
    }
    for (; m->n_dirs < n && r->code == 0; m->n_dirs++) {
        m->dirs[m->n_dirs].path = get_text(r, "mount.dirs.path", SANDBOX_PATH_MAX - 1);
        m->dirs[m->n_dirs].mode = get_u32(r, "mount.dirs.mode");
    }
}

static void get_mounts(struct reader *r, struct sandbox_spec *s)
{
    /* Its shortest form: four numbers, two empty texts, a 64-bit size, an empty list. */
    size_t n = get_count(r, "mounts", SANDBOX_MOUNTS_MAX, 40);

    if (n == 0)
        return;
    s->mounts = calloc(n, sizeof(*s->mounts));
    if (!s->mounts) {
        no_memory(r, "mounts");
        return;
    }
    for (; s->n_mounts < n && r->code == 0; s->n_mounts++)
        get_mount(r, &s->mounts[s->n_mounts]);
}

static void get_groups(struct reader *r, struct sandbox_spec *s)
{
    size_t n = get_count(r, "groups", SANDBOX_GROUPS_MAX, sizeof(uint32_t));

    if (n == 0)
        return;
    s->groups = calloc(n, sizeof(*s->groups));
    if (!s->groups) {
        no_memory(r, "groups");
        return;
    }
    for (; s->n_groups < n; s->n_groups++)
        s->groups[s->n_groups] = get_u32(r, "groups");
}

static void get_ports(struct reader *r, struct sandbox_spec *s)
{
    size_t n = get_count(r, "ports", SANDBOX_PORTS_MAX, 2 * sizeof(uint32_t));

    if (n == 0)
        return;
    s->ports = calloc(n, sizeof(*s->ports));
    if (!s->ports) {
        no_memory(r, "ports");
        return;
    }
    for (; s->n_ports < n; s->n_ports++) {
        uint32_t host = get_u32(r, "ports.host"), container = get_u32(r, "ports.container");
        if (host > UINT16_MAX || container > UINT16_MAX)
            fault(r, "ports", "has a number that no port has");
        s->ports[s->n_ports] = (struct sandbox_port){(uint16_t)host, (uint16_t)container};
    }
}

static void get_rlimits(struct reader *r, struct sandbox_spec *s)
{
    size_t n =
        get_count(r, "rlimits", SANDBOX_RLIMITS_MAX, sizeof(uint32_t) + 2 * sizeof(uint64_t));

    if (n == 0)
        return;
    s->rlimits = calloc(n, sizeof(*s->rlimits));
    if (!s->rlimits) {
        no_memory(r, "rlimits");
        return;
    }
    for (; s->n_rlimits < n; s->n_rlimits++) {
        struct sandbox_rlimit *l = &s->rlimits[s->n_rlimits];
        l->resource = get_u32(r, "rlimits.resource");
        l->soft = get_u64(r, "rlimits.soft");
        l->hard = get_u64(r, "rlimits.hard");
    }
}

static void get_copies(struct reader *r, struct sandbox_spec *s)
{
    size_t n = get_count(r, "copies", SANDBOX_COPIES_MAX, 4 * sizeof(uint32_t));

    if (n == 0)
        return;
    s->copies = calloc(n, sizeof(*s->copies));
    if (!s->copies) {
        no_memory(r, "copies");
        return;
    }
    for (; s->n_copies < n && r->code == 0; s->n_copies++) {
        struct sandbox_copy *c = &s->copies[s->n_copies];
        c->out = get_bool(r, "copies.out");
        c->root = get_u32(r, "copies.root");
        c->name = get_optional_text(r, "copies.name", SANDBOX_PATH_MAX - 1);
        c->path = get_text(r, "copies.path", SANDBOX_PATH_MAX - 1);
    }
}

static void put_spec(struct writer *w, const struct sandbox_spec *s)
{
    put_u32(w, s->layers_root);
    put_list(w, s->layers);
    put_u32(w, (uint32_t)s->n_mounts);
    for (size_t i = 0; i < s->n_mounts; i++)
        put_mount(w, &s->mounts[i]);
    put_list(w, s->argv);
    put_list(w, s->env);
    put_text(w, s->cwd);
    put_text(w, s->user);
    put_u32(w, (uint32_t)s->n_groups);
    for (size_t i = 0; i < s->n_groups; i++)
        put_u32(w, s->groups[i]);
    put_text(w, s->hostname);
    put_text(w, s->label);
    put_u32(w, s->no_new_privs);
    put_u32(w, s->init);
    put_u32(w, s->terminal);
    put_u32(w, s->terminal_rows);
    put_u32(w, s->terminal_columns);
    put_u32(w, s->read_only);
    put_u64(w, s->dropped_capabilities);
    put_u32(w, (uint32_t)s->n_rlimits);
    for (size_t i = 0; i < s->n_rlimits; i++) {
        put_u32(w, s->rlimits[i].resource);
        put_u64(w, s->rlimits[i].soft);
        put_u64(w, s->rlimits[i].hard);
    }
    put_u64(w, s->parent);
    put_u32(w, s->network);
    put_u32(w, (uint32_t)s->n_ports);
    for (size_t i = 0; i < s->n_ports; i++) {
        put_u32(w, s->ports[i].host);
        put_u32(w, s->ports[i].container);
    }
    put_numbers(w, &s->limits, limits, ARRAY_SIZE(limits));
    for (size_t i = 0; i < SANDBOX_CPU_WORDS; i++)
        put_u64(w, s->limits.cpus[i]);
    put_u32(w, (uint32_t)s->n_copies);
    for (size_t i = 0; i < s->n_copies; i++) {
        put_u32(w, s->copies[i].out);
        put_u32(w, s->copies[i].root);
        put_text(w, s->copies[i].name);
        put_text(w, s->copies[i].path);
    }
}

static void get_spec(struct reader *r, struct sandbox_spec *s)
{
    s->layers_root = get_u32(r, "layers_root");
    s->layers = get_list(r, "layers", SANDBOX_LAYERS_MAX, SANDBOX_PATH_MAX - 1);
    get_mounts(r, s);
    s->argv = get_list(r, "argv", SANDBOX_STRINGS_MAX, SANDBOX_TEXT_MAX - 1);
    s->env = get_list(r, "env", SANDBOX_STRINGS_MAX, SANDBOX_TEXT_MAX - 1);
    s->cwd = get_optional_text(r, "cwd", SANDBOX_PATH_MAX - 1);
    s->user = get_optional_text(r, "user", SANDBOX_USER_MAX);
    get_groups(r, s);
    s->hostname = get_optional_text(r, "hostname", SANDBOX_HOSTNAME_MAX);
    s->label = get_optional_text(r, "label", SANDBOX_LABEL_MAX);
    s->no_new_privs = get_bool(r, "no_new_privs");
    s->init = get_bool(r, "init");
    s->terminal = get_bool(r, "terminal");
    s->terminal_rows = get_u16(r, "terminal_rows");
    s->terminal_columns = get_u16(r, "terminal_columns");
    s->read_only = get_bool(r, "read_only");
    s->dropped_capabilities = get_u64(r, "dropped_capabilities");
    get_rlimits(r, s);
    s->parent = get_u64(r, "parent");
    s->network = get_u32(r, "network");
    get_ports(r, s);
    get_numbers(r, &s->limits, limits, ARRAY_SIZE(limits));
    for (size_t i = 0; i < SANDBOX_CPU_WORDS; i++)
        s->limits.cpus[i] = get_u64(r, "limits.cpus");
    get_copies(r, s);
}

/* --- requests ------------------------------------------------------------------------------- */

void request_clear(struct request *r)
{
    sandbox_spec_clear(&r->spec);
    free(r->path);
    memset(r, 0, sizeof(*r));
}

int request_encode(const struct request *r, struct buffer *b)
{
    struct writer w = {b, 0};

    put_header(&w, REQUEST_MAGIC, r->type, r->id);
    if (r->type == REQUEST_SUBMIT) {
        put_u32(&w, r->stdio);
        put_spec(&w, &r->spec);
    } else if (r->type == REQUEST_PROBE) {
        put_u32(&w, r->root);
        put_text(&w, r->path);
    } else if (r->type == REQUEST_CONNECT) {
        put_u64(&w, r->sandbox);
        put_u32(&w, r->root);
        put_text(&w, r->path);
    } else if (r->type == REQUEST_SIGNAL) {
        put_u32(&w, r->signal);
    }
    return w.code;
}

int request_decode(const void *data, size_t size, struct request *ret, struct error *e)
{
    struct reader r = {.at = data, .left = size, .e = e};
    struct request request = {0};

    if (get_u32(&r, "magic") != REQUEST_MAGIC)
        fault(&r, "magic", "is not that of a request");
    request.type = get_u32(&r, "type");
    request.id = get_u64(&r, "id");
    if (request.type == REQUEST_SUBMIT) {
        request.stdio = get_u32(&r, "stdio");
        if (request.stdio & ~STDIO_BITS)
            fault(&r, "stdio", "has unknown bits");
        get_spec(&r, &request.spec);
    } else if (request.type == REQUEST_PROBE) {
        request.root = get_u32(&r, "root");
        request.path = get_text(&r, "path", SANDBOX_PATH_MAX - 1);
    } else if (request.type == REQUEST_CONNECT) {
        request.sandbox = get_u64(&r, "sandbox");
        request.root = get_u32(&r, "mount");
        request.path = get_text(&r, "path", SANDBOX_PATH_MAX - 1);
    } else if (request.type == REQUEST_SIGNAL) {
        request.signal = get_u32(&r, "signal");
    } else if (request.type != REQUEST_KILL) {
        fault(&r, "type", "is unknown");
    }
    if (request.id == 0)
        fault(&r, "id", "is 0");
    if (finish(&r) < 0) {
        request_clear(&request);
        return r.code;
    }
    *ret = request;
    return 0;
}

int request_encode_large(struct buffer *b)
{
    struct writer w = {b, 0};

    put_header(&w, REQUEST_MAGIC, REQUEST_LARGE, 0);
    return w.code;
}

bool request_is_large(const void *data, size_t size)
{
    struct reader r = {.at = data, .left = size};

    return get_u32(&r, "magic") == REQUEST_MAGIC && get_u32(&r, "type") == REQUEST_LARGE &&
           get_u64(&r, "id") == 0 && finish(&r) == 0;
}

int request_seal(const void *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("dockless-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t done = 0;

    if (fd < 0)
        return -errno;
    while (done < size) {
        ssize_t n = write(fd, (const char *)data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int request_unseal(int fd, struct buffer *b, struct error *e)
{
    int seals = fcntl(fd, F_GET_SEALS), r;
    struct stat st;
    size_t done = 0;

    if (seals < 0 || (seals & SEALS) != SEALS)
        return error_set(e, -EBADMSG, "the memory of a large request is not sealed");
    if (fstat(fd, &st) < 0)
        return error_sys(e, -errno, "large request");
    if (st.st_size < 0 || (uint64_t)st.st_size > REQUEST_MAX)
        return error_set(e, -EBADMSG, "a request has more than %zu bytes", REQUEST_MAX);
    r = buffer_reserve(b, (size_t)st.st_size);
    if (r < 0)
        return error_sys(e, r, "large request");
    while (done < (size_t)st.st_size) {
        ssize_t n = pread(fd, b->data + b->size, (size_t)st.st_size - done, (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_sys(e, n < 0 ? -errno : -EBADMSG, "large request");
        b->size += (size_t)n;
        done += (size_t)n;
    }
    return 0;
}

/* --- events --------------------------------------------------------------------------------- */

int event_encode(const struct event *event, struct buffer *b)
{
    const struct sandbox_report *p = &event->report;
    struct writer w = {b, 0};

    put_header(&w, EVENT_MAGIC, event->type, event->id);
    put_u32(&w, (uint32_t)event->result);
    if (event->type == EVENT_FAILED)
        put_text(&w, p->error);
    if (event->type == EVENT_EXITED) {
        put_u32(&w, p->verdict);
        put_u32(&w, (uint32_t)p->exit_code);
        put_u32(&w, (uint32_t)p->signal);
        put_text(&w, p->failed_step);
        put_text(&w, p->error);
        put_u32(&w, (uint32_t)p->error_code);
        put_numbers(&w, p, counters, ARRAY_SIZE(counters));
        put_u32(&w, p->called);
        put_text(&w, p->copy_error);
    }
    return w.code;
}

static void get_report(struct reader *r, struct sandbox_report *p)
{
    p->verdict = get_u32(r, "verdict");
    if ((unsigned)p->verdict >= SANDBOX_VERDICTS_)
        fault(r, "verdict", "is unknown");
    p->exit_code = (int)get_u32(r, "exit_code");
    p->signal = (int)get_u32(r, "signal");
    get_text_into(r, "failed_step", p->failed_step, sizeof(p->failed_step));
    get_text_into(r, "error", p->error, sizeof(p->error));
    p->error_code = (int)get_u32(r, "error_code");
    get_numbers(r, p, counters, ARRAY_SIZE(counters));
    p->called = get_bool(r, "called");
    get_text_into(r, "copy_error", p->copy_error, sizeof(p->copy_error));
}

int event_decode(const void *data, size_t size, struct event *ret, struct error *e)
{
    struct reader r = {.at = data, .left = size, .e = e};
    struct event event = {0};

    if (get_u32(&r, "magic") != EVENT_MAGIC)
        fault(&r, "magic", "is not that of an event");
    event.type = get_u32(&r, "type");
    event.id = get_u64(&r, "id");
    event.result = (int)get_u32(&r, "result");
    if (event.type < EVENT_READY || event.type > EVENT_CONNECTED)
        fault(&r, "type", "is unknown");
    if (event.type == EVENT_FAILED)
        get_text_into(&r, "error", event.report.error, sizeof(event.report.error));
    if (event.type == EVENT_EXITED)
        get_report(&r, &event.report);
    if (finish(&r) == 0)
        *ret = event;
    return r.code;
}
