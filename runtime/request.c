#include "request.h"

#include "fields.h"

#include "base/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define STDIO_BITS 7U
#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

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
    writer_u32(w, m->kind);
    writer_u32(w, m->root);
    writer_text(w, m->source ? m->source : "");
    writer_text(w, m->target);
    writer_u64(w, m->size);
    writer_u32(w, m->mode);
    writer_u32(w, m->read_only);
    writer_u32(w, m->follow_links);
    writer_u32(w, m->optional);
    writer_u32(w, m->keep);
    writer_u32(w, m->keep_root);
    writer_u32(w, (uint32_t)m->n_dirs);
    for (size_t i = 0; i < m->n_dirs; i++) {
        writer_text(w, m->dirs[i].path);
        writer_u32(w, m->dirs[i].mode);
    }
}

static void get_mount(struct reader *r, struct sandbox_mount *m)
{
    size_t n;

    m->kind = reader_u32(r, "mount.kind");
    m->root = reader_u32(r, "mount.root");
    m->source = reader_text(r, "mount.source", SANDBOX_PATH_MAX - 1);
    m->target = reader_text(r, "mount.target", SANDBOX_PATH_MAX - 1);
    m->size = reader_u64(r, "mount.size");
    m->mode = reader_u32(r, "mount.mode");
    m->read_only = reader_bool(r, "mount.read_only");
    m->follow_links = reader_bool(r, "mount.follow_links");
    m->optional = reader_bool(r, "mount.optional");
    m->keep = reader_bool(r, "mount.keep");
    m->keep_root = reader_u32(r, "mount.keep_root");
    n = reader_count(r, "mount.dirs", SANDBOX_DIRS_MAX, 2 * sizeof(uint32_t));
    if (n == 0)
        return;
    m->dirs = calloc(n, sizeof(*m->dirs));
    if (!m->dirs) {
        reader_no_memory(r, "mount.dirs");
        return;
    }
    for (; m->n_dirs < n && r->code == 0; m->n_dirs++) {
        m->dirs[m->n_dirs].path = reader_text(r, "mount.dirs.path", SANDBOX_PATH_MAX - 1);
        m->dirs[m->n_dirs].mode = reader_u32(r, "mount.dirs.mode");
    }
}

static void get_mounts(struct reader *r, struct sandbox_spec *s)
{
    /* Its shortest form: four numbers, two empty texts, a 64-bit size, an empty list. */
    size_t n = reader_count(r, "mounts", SANDBOX_MOUNTS_MAX, 40);

    if (n == 0)
        return;
    s->mounts = calloc(n, sizeof(*s->mounts));
    if (!s->mounts) {
        reader_no_memory(r, "mounts");
        return;
    }
    for (; s->n_mounts < n && r->code == 0; s->n_mounts++)
        get_mount(r, &s->mounts[s->n_mounts]);
}

static void get_groups(struct reader *r, struct sandbox_spec *s)
{
    size_t n = reader_count(r, "groups", SANDBOX_GROUPS_MAX, sizeof(uint32_t));

    if (n == 0)
        return;
    s->groups = calloc(n, sizeof(*s->groups));
    if (!s->groups) {
        reader_no_memory(r, "groups");
        return;
    }
    for (; s->n_groups < n; s->n_groups++)
        s->groups[s->n_groups] = reader_u32(r, "groups");
}

static void get_ports(struct reader *r, struct sandbox_spec *s)
{
    size_t n = reader_count(r, "ports", SANDBOX_PORTS_MAX, 2 * sizeof(uint32_t));

    if (n == 0)
        return;
    s->ports = calloc(n, sizeof(*s->ports));
    if (!s->ports) {
        reader_no_memory(r, "ports");
        return;
    }
    for (; s->n_ports < n; s->n_ports++) {
        uint32_t host = reader_u32(r, "ports.host"), container = reader_u32(r, "ports.container");
        if (host > UINT16_MAX || container > UINT16_MAX)
            reader_fault(r, "ports", "has a number that no port has");
        s->ports[s->n_ports] = (struct sandbox_port){(uint16_t)host, (uint16_t)container};
    }
}

static void get_rlimits(struct reader *r, struct sandbox_spec *s)
{
    size_t n =
        reader_count(r, "rlimits", SANDBOX_RLIMITS_MAX, sizeof(uint32_t) + 2 * sizeof(uint64_t));

    if (n == 0)
        return;
    s->rlimits = calloc(n, sizeof(*s->rlimits));
    if (!s->rlimits) {
        reader_no_memory(r, "rlimits");
        return;
    }
    for (; s->n_rlimits < n; s->n_rlimits++) {
        struct sandbox_rlimit *l = &s->rlimits[s->n_rlimits];
        l->resource = reader_u32(r, "rlimits.resource");
        l->soft = reader_u64(r, "rlimits.soft");
        l->hard = reader_u64(r, "rlimits.hard");
    }
}

static void get_copies(struct reader *r, struct sandbox_spec *s)
{
    size_t n = reader_count(r, "copies", SANDBOX_COPIES_MAX, 4 * sizeof(uint32_t));

    if (n == 0)
        return;
    s->copies = calloc(n, sizeof(*s->copies));
    if (!s->copies) {
        reader_no_memory(r, "copies");
        return;
    }
    for (; s->n_copies < n && r->code == 0; s->n_copies++) {
        struct sandbox_copy *c = &s->copies[s->n_copies];
        c->out = reader_bool(r, "copies.out");
        c->root = reader_u32(r, "copies.root");
        c->name = reader_optional_text(r, "copies.name", SANDBOX_PATH_MAX - 1);
        c->path = reader_text(r, "copies.path", SANDBOX_PATH_MAX - 1);
    }
}

static void put_spec(struct writer *w, const struct sandbox_spec *s)
{
    writer_u32(w, s->layers_root);
    writer_list(w, s->layers);
    writer_u32(w, (uint32_t)s->n_mounts);
    for (size_t i = 0; i < s->n_mounts; i++)
        put_mount(w, &s->mounts[i]);
    writer_list(w, s->argv);
    writer_list(w, s->env);
    writer_text(w, s->cwd);
    writer_text(w, s->user);
    writer_u32(w, (uint32_t)s->n_groups);
    for (size_t i = 0; i < s->n_groups; i++)
        writer_u32(w, s->groups[i]);
    writer_text(w, s->hostname);
    writer_text(w, s->label);
    writer_u32(w, s->no_new_privs);
    writer_u32(w, s->init);
    writer_u32(w, s->terminal);
    writer_u32(w, s->terminal_rows);
    writer_u32(w, s->terminal_columns);
    writer_u32(w, s->read_only);
    writer_u64(w, s->dropped_capabilities);
    writer_u32(w, (uint32_t)s->n_rlimits);
    for (size_t i = 0; i < s->n_rlimits; i++) {
        writer_u32(w, s->rlimits[i].resource);
        writer_u64(w, s->rlimits[i].soft);
        writer_u64(w, s->rlimits[i].hard);
    }
    writer_u64(w, s->parent);
    writer_u32(w, s->network);
    writer_u32(w, (uint32_t)s->n_ports);
    for (size_t i = 0; i < s->n_ports; i++) {
        writer_u32(w, s->ports[i].host);
        writer_u32(w, s->ports[i].container);
    }
    writer_numbers(w, &s->limits, limits, ARRAY_SIZE(limits));
    for (size_t i = 0; i < SANDBOX_CPU_WORDS; i++)
        writer_u64(w, s->limits.cpus[i]);
    writer_u32(w, (uint32_t)s->n_copies);
    for (size_t i = 0; i < s->n_copies; i++) {
        writer_u32(w, s->copies[i].out);
        writer_u32(w, s->copies[i].root);
        writer_text(w, s->copies[i].name);
        writer_text(w, s->copies[i].path);
    }
}

static void get_spec(struct reader *r, struct sandbox_spec *s)
{
    s->layers_root = reader_u32(r, "layers_root");
    s->layers = reader_list(r, "layers", SANDBOX_LAYERS_MAX, SANDBOX_PATH_MAX - 1);
    get_mounts(r, s);
    s->argv = reader_list(r, "argv", SANDBOX_STRINGS_MAX, SANDBOX_TEXT_MAX - 1);
    s->env = reader_list(r, "env", SANDBOX_STRINGS_MAX, SANDBOX_TEXT_MAX - 1);
    s->cwd = reader_optional_text(r, "cwd", SANDBOX_PATH_MAX - 1);
    s->user = reader_optional_text(r, "user", SANDBOX_USER_MAX);
    get_groups(r, s);
    s->hostname = reader_optional_text(r, "hostname", SANDBOX_HOSTNAME_MAX);
    s->label = reader_optional_text(r, "label", SANDBOX_LABEL_MAX);
    s->no_new_privs = reader_bool(r, "no_new_privs");
    s->init = reader_bool(r, "init");
    s->terminal = reader_bool(r, "terminal");
    s->terminal_rows = reader_u16(r, "terminal_rows");
    s->terminal_columns = reader_u16(r, "terminal_columns");
    s->read_only = reader_bool(r, "read_only");
    s->dropped_capabilities = reader_u64(r, "dropped_capabilities");
    get_rlimits(r, s);
    s->parent = reader_u64(r, "parent");
    s->network = reader_u32(r, "network");
    get_ports(r, s);
    reader_numbers(r, &s->limits, limits, ARRAY_SIZE(limits));
    for (size_t i = 0; i < SANDBOX_CPU_WORDS; i++)
        s->limits.cpus[i] = reader_u64(r, "limits.cpus");
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

    writer_header(&w, REQUEST_MAGIC, r->type, r->id);
    if (r->type == REQUEST_SUBMIT) {
        writer_u32(&w, r->stdio);
        put_spec(&w, &r->spec);
    } else if (r->type == REQUEST_PROBE) {
        writer_u32(&w, r->root);
        writer_text(&w, r->path);
    } else if (r->type == REQUEST_CONNECT) {
        writer_u64(&w, r->sandbox);
        writer_u32(&w, r->root);
        writer_text(&w, r->path);
    } else if (r->type == REQUEST_SIGNAL) {
        writer_u32(&w, r->signal);
    }
    return w.code;
}

int request_decode(const void *data, size_t size, struct request *ret, struct error *e)
{
    struct reader r = {.at = data, .left = size, .e = e};
    struct request request = {0};

    if (reader_u32(&r, "magic") != REQUEST_MAGIC)
        reader_fault(&r, "magic", "is not that of a request");
    request.type = reader_u32(&r, "type");
    request.id = reader_u64(&r, "id");
    if (request.type == REQUEST_SUBMIT) {
        request.stdio = reader_u32(&r, "stdio");
        if (request.stdio & ~STDIO_BITS)
            reader_fault(&r, "stdio", "has unknown bits");
        get_spec(&r, &request.spec);
    } else if (request.type == REQUEST_PROBE) {
        request.root = reader_u32(&r, "root");
        request.path = reader_text(&r, "path", SANDBOX_PATH_MAX - 1);
    } else if (request.type == REQUEST_CONNECT) {
        request.sandbox = reader_u64(&r, "sandbox");
        request.root = reader_u32(&r, "mount");
        request.path = reader_text(&r, "path", SANDBOX_PATH_MAX - 1);
    } else if (request.type == REQUEST_SIGNAL) {
        request.signal = reader_u32(&r, "signal");
    } else if (request.type != REQUEST_KILL) {
        reader_fault(&r, "type", "is unknown");
    }
    if (request.id == 0)
        reader_fault(&r, "id", "is 0");
    if (reader_finish(&r) < 0) {
        request_clear(&request);
        return r.code;
    }
    *ret = request;
    return 0;
}

int request_encode_large(struct buffer *b)
{
    struct writer w = {b, 0};

    writer_header(&w, REQUEST_MAGIC, REQUEST_LARGE, 0);
    return w.code;
}

bool request_is_large(const void *data, size_t size)
{
    struct reader r = {.at = data, .left = size};

    return reader_u32(&r, "magic") == REQUEST_MAGIC && reader_u32(&r, "type") == REQUEST_LARGE &&
           reader_u64(&r, "id") == 0 && reader_finish(&r) == 0;
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

    writer_header(&w, EVENT_MAGIC, event->type, event->id);
    writer_u32(&w, (uint32_t)event->result);
    if (event->type == EVENT_FAILED)
        writer_text(&w, p->error);
    if (event->type == EVENT_EXITED) {
        writer_u32(&w, p->verdict);
        writer_u32(&w, (uint32_t)p->exit_code);
        writer_u32(&w, (uint32_t)p->signal);
        writer_text(&w, p->failed_step);
        writer_text(&w, p->error);
        writer_u32(&w, (uint32_t)p->error_code);
        writer_numbers(&w, p, counters, ARRAY_SIZE(counters));
        writer_u32(&w, p->called);
        writer_text(&w, p->copy_error);
    }
    return w.code;
}

static void get_report(struct reader *r, struct sandbox_report *p)
{
    p->verdict = reader_u32(r, "verdict");
    if ((unsigned)p->verdict >= SANDBOX_VERDICTS_)
        reader_fault(r, "verdict", "is unknown");
    p->exit_code = (int)reader_u32(r, "exit_code");
    p->signal = (int)reader_u32(r, "signal");
    reader_text_into(r, "failed_step", p->failed_step, sizeof(p->failed_step));
    reader_text_into(r, "error", p->error, sizeof(p->error));
    p->error_code = (int)reader_u32(r, "error_code");
    reader_numbers(r, p, counters, ARRAY_SIZE(counters));
    p->called = reader_bool(r, "called");
    reader_text_into(r, "copy_error", p->copy_error, sizeof(p->copy_error));
}

int event_decode(const void *data, size_t size, struct event *ret, struct error *e)
{
    struct reader r = {.at = data, .left = size, .e = e};
    struct event event = {0};

    if (reader_u32(&r, "magic") != EVENT_MAGIC)
        reader_fault(&r, "magic", "is not that of an event");
    event.type = reader_u32(&r, "type");
    event.id = reader_u64(&r, "id");
    event.result = (int)reader_u32(&r, "result");
    if (event.type < EVENT_READY || event.type > EVENT_CONNECTED)
        reader_fault(&r, "type", "is unknown");
    if (event.type == EVENT_FAILED)
        reader_text_into(&r, "error", event.report.error, sizeof(event.report.error));
    if (event.type == EVENT_EXITED)
        get_report(&r, &event.report);
    if (reader_finish(&r) == 0)
        *ret = event;
    return r.code;
}
