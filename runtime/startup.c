#include "startup.h"

#include "fields.h"
#include "nat.h"
#include "resolv.h"
#include "seccomp.h"

#include "base/text.h"

#include <linux/bpf_common.h>
#include <linux/filter.h>
#include <stdlib.h>

#define MAGIC     0x3153446cU /* "lDS1" */
#define TYPE      1U
#define TEXT_MAX  ((size_t)SANDBOX_PATH_MAX - 1)
#define RANGE_MAX 64 /* an IPv6 address, a slash and a number */

/* What the decoder makes: the configuration and what it points to. */
struct startup {
    struct launcher_config config; /* first: it is what the caller gets */
    struct launcher_root roots[LAUNCHER_ROOTS_MAX];
    struct launcher_network network;
    struct seccomp_program filter;
};

static void put_network(struct writer *w, const struct launcher_network *n)
{
    writer_u32(w, n != NULL);
    if (!n)
        return;
    writer_text(w, n->pool4);
    writer_text(w, n->pool6);
    writer_u32(w, (uint32_t)n->n_allowed);
    for (size_t i = 0; i < n->n_allowed; i++)
        writer_text(w, n->allowed[i]);
    writer_u32(w, (uint32_t)n->n_resolvers);
    for (size_t i = 0; i < n->n_resolvers; i++)
        writer_text(w, n->resolvers[i]);
    writer_u32(w, n->first_port);
    writer_u32(w, n->last_port);
}

int startup_encode(const struct launcher_config *config, struct buffer *b)
{
    const struct seccomp_program *filter = config->filter;
    struct writer w = {b, 0};

    writer_header(&w, MAGIC, TYPE, 0);
    writer_u32(&w, (uint32_t)config->n_roots);
    for (size_t i = 0; i < config->n_roots; i++) {
        writer_text(&w, config->roots[i].name);
        writer_text(&w, config->roots[i].path);
        writer_u32(&w, config->roots[i].read_only);
    }
    writer_text(&w, config->scratch);
    writer_text(&w, config->run_dir);
    writer_u32(&w, config->first_id);
    writer_u32(&w, config->ranges);
    writer_u32(&w, config->max_sandboxes);
    writer_u32(&w, config->spares);
    writer_u32(&w, config->needed);
    writer_u32(&w, config->waived);
    writer_u32(&w, config->disk);
    writer_u32(&w, config->first_project);
    writer_u32(&w, (uint32_t)config->client);
    put_network(&w, config->network);
    writer_u32(&w, filter ? filter->length : 0);
    if (filter)
        writer_bytes(&w, filter->filter, filter->length * sizeof(*filter->filter));
    return w.code;
}

static void get_roots(struct reader *r, struct startup *s)
{
    size_t n = reader_count(r, "roots", LAUNCHER_ROOTS_MAX, 3 * sizeof(uint32_t));

    for (; s->config.n_roots < n && r->code == 0; s->config.n_roots++) {
        struct launcher_root *root = &s->roots[s->config.n_roots];
        root->name = reader_text(r, "root.name", TEXT_MAX);
        root->path = reader_text(r, "root.path", TEXT_MAX);
        root->read_only = reader_bool(r, "root.read_only");
    }
    s->config.roots = s->roots;
}

static void get_network(struct reader *r, struct startup *s)
{
    struct launcher_network *n = &s->network;

    if (!reader_bool(r, "network"))
        return;
    s->config.network = n;
    n->pool4 = reader_optional_text(r, "network.pool4", RANGE_MAX);
    n->pool6 = reader_optional_text(r, "network.pool6", RANGE_MAX);
    n->allowed = (const char *const *)reader_list(r, "network.allowed", NAT_RANGES_MAX, RANGE_MAX);
    n->n_allowed = strv_length((char *const *)n->allowed);
    n->resolvers =
        (const char *const *)reader_list(r, "network.resolvers", RESOLVERS_MAX, RANGE_MAX);
    n->n_resolvers = strv_length((char *const *)n->resolvers);
    n->first_port = reader_u16(r, "network.first_port");
    n->last_port = reader_u16(r, "network.last_port");
}

static void get_filter(struct reader *r, struct startup *s)
{
    size_t n = reader_count(r, "filter", BPF_MAXINSNS, sizeof(struct sock_filter));

    if (n == 0)
        return;
    s->filter.filter = calloc(n, sizeof(struct sock_filter));
    if (!s->filter.filter) {
        reader_no_memory(r, "filter");
        return;
    }
    s->filter.length = (unsigned short)n;
    reader_bytes(r, "filter", s->filter.filter, n * sizeof(struct sock_filter));
    s->config.filter = &s->filter;
}

static void get_header(struct reader *r)
{
    if (reader_u32(r, "magic") != MAGIC)
        reader_fault(r, "magic", "is not that of a configuration");
    if (reader_u32(r, "type") != TYPE)
        reader_fault(r, "type", "is unknown");
    (void)reader_u64(r, "id");
}

int startup_decode(const void *data, size_t size, struct launcher_config **ret, struct error *e)
{
    struct reader r = {.at = data, .left = size, .e = e};
    _cleanup_(startup_free_p) struct launcher_config *config = NULL;
    struct startup *s = calloc(1, sizeof(*s));

    if (!s)
        return error_sys(e, -ENOMEM, "configuration of the launcher");
    config = &s->config;
    get_header(&r);
    get_roots(&r, s);
    config->scratch = reader_text(&r, "scratch", TEXT_MAX);
    config->run_dir = reader_optional_text(&r, "run_dir", TEXT_MAX);
    config->first_id = reader_u32(&r, "first_id");
    config->ranges = reader_u32(&r, "ranges");
    config->max_sandboxes = reader_u32(&r, "max_sandboxes");
    config->spares = reader_u32(&r, "spares");
    config->needed = reader_u32(&r, "needed");
    config->waived = reader_u32(&r, "waived");
    config->disk = reader_u32(&r, "disk");
    config->first_project = reader_u32(&r, "first_project");
    config->client = (pid_t)reader_u32(&r, "client");
    get_network(&r, s);
    get_filter(&r, s);
    if (r.code == 0 && config->max_sandboxes > LAUNCHER_SANDBOXES_MAX)
        reader_fault(&r, "max_sandboxes", "is too large");
    if (r.code == 0 && config->disk > LAUNCHER_DISK_IMAGE)
        reader_fault(&r, "disk", "is unknown");
    if (reader_finish(&r) < 0)
        return r.code;
    *ret = TAKE_PTR(config);
    return 0;
}

static void free_text(const char *text)
{
    free((char *)(uintptr_t)text);
}

void startup_free(struct launcher_config *config)
{
    struct startup *s = (struct startup *)config;

    if (!s)
        return;
    /* Of the last root, a fault may have left one of its texts. */
    for (size_t i = 0; i < LAUNCHER_ROOTS_MAX; i++) {
        free_text(s->roots[i].name);
        free_text(s->roots[i].path);
    }
    free_text(config->scratch);
    free_text(config->run_dir);
    free_text(s->network.pool4);
    free_text(s->network.pool6);
    strv_free((char **)(uintptr_t)s->network.allowed);
    strv_free((char **)(uintptr_t)s->network.resolvers);
    seccomp_program_clear(&s->filter);
    free(s);
}
