/* A job as a sandbox: what Docker was told by upstream's agent, as a struct sandbox_spec. */
#include "agent/agent_internal.h"

#include "base/clock.h"

#include <string.h>
#include <sys/random.h>

/* A limit of zero or less is hit at once: that is what upstream's first sample does. */
#define AT_ONCE_USEC 1
/* Longer than any job: what would overflow is as good as no limit. */
#define SECONDS_MAX (UINT64_MAX / USEC_PER_SEC / 2)

void job_make_container_id(char container_id[CONTAINER_ID_LENGTH + 1])
{
    uint8_t random[CONTAINER_ID_LENGTH / 2];

    while (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        ;
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(container_id + 2 * i, 3, "%02x", random[i]);
}

uint64_t job_limit_usec(int64_t seconds)
{
    if (seconds <= 0)
        return AT_ONCE_USEC;
    return MIN((uint64_t)seconds, SECONDS_MAX) * USEC_PER_SEC;
}

static int set_program(struct sandbox_spec *spec, const struct image *image,
                       const char *container_id, char *const *command)
{
    char hostname[HOSTNAME_LENGTH + 1];

    memcpy(hostname, container_id, HOSTNAME_LENGTH);
    hostname[HOSTNAME_LENGTH] = 0;
    spec->hostname = strdup(hostname);
    spec->user = strdup("0"); /* upstream's agent asks for root, whatever the image says */
    spec->cwd = text_clean_path(image->working_dir ? image->working_dir : "/");
    spec->env = strv_copy(image->env);
    spec->argv = strv_copy(image->entrypoint);
    if (!spec->hostname || !spec->user || !spec->cwd || !spec->env || !spec->argv)
        return -ENOMEM;
    for (; command && *command; command++)
        if (strv_append(&spec->argv, *command) < 0)
            return -ENOMEM;
    return 0;
}

static int set_layers(struct sandbox_spec *spec, const struct image *image, struct error *e)
{
    char path[IMAGE_LAYER_PATH_SIZE];

    spec->layers_root = ROOT_STORE;
    for (char **id = image->layers; id && *id; id++) {
        int r = image_layer_path(*id, path, e);
        if (r == 0)
            r = strv_append(&spec->layers, path);
        if (r < 0)
            return r;
    }
    return 0;
}

int job_spec_set_image(struct sandbox_spec *spec, const struct image *image,
                       const char *container_id, char *const *command, struct error *e)
{
    int r = set_program(spec, image, container_id, command);

    return r < 0 ? error_sys(e, r, "describing the container") : set_layers(spec, image, e);
}

/* The mounts stand in the order of enum job_mount.
 *
 * /task and /course/common: the course's own files below, what the job changes above. */
static int add_course_mounts(const struct job *j, struct sandbox_spec *spec)
{
    const struct backend_message *m = &j->message;
    _cleanup_free_ char *task = text_printf("%s/%s", m->course_id, m->task_id);
    _cleanup_free_ char *common = text_printf("%s/$common", m->course_id);
    struct sandbox_mount *mount;

    if (!task || !common)
        return -ENOMEM;
    mount = sandbox_spec_add_mount(spec, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, task, "/task");
    if (!mount)
        return -ENOMEM;
    mount->mode = 0777;
    mount->follow_links = true; /* upstream copies a task, and its copy follows them */
    if (sandbox_mount_add_dir(mount, "student", 0777) < 0)
        return -ENOMEM;
    mount =
        sandbox_spec_add_mount(spec, SANDBOX_MOUNT_OVERLAY, ROOT_TASKS, common, "/course/common");
    if (!mount)
        return -ENOMEM;
    mount->read_only = true;
    mount->optional = true;
    mount->follow_links = true;
    return sandbox_mount_add_dir(mount, "student", 0755);
}

/* A job of no course: upstream gives it an empty /task and an empty /course/common. */
static int add_empty_mounts(struct sandbox_spec *spec)
{
    struct sandbox_mount *mount =
        sandbox_spec_add_mount(spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/task");

    if (!mount)
        return -ENOMEM;
    mount->mode = 0755;
    mount = sandbox_spec_add_mount(spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/course/common");
    if (!mount)
        return -ENOMEM;
    mount->mode = 0755;
    mount->read_only = true;
    return sandbox_mount_add_dir(mount, "student", 0755);
}

static int add_mounts(const struct job *j, struct sandbox_spec *spec)
{
    struct sandbox_mount *sockets;
    int r = j->message.course_id ? add_course_mounts(j, spec) : add_empty_mounts(spec);

    if (r < 0)
        return r;
    sockets = sandbox_spec_add_mount(spec, SANDBOX_MOUNT_SCRATCH, 0, NULL, "/sockets");
    if (!sockets)
        return -ENOMEM;
    sockets->mode = 0777;
    return 0;
}

int job_spec_set_ports(const struct agent *a, uint64_t id, struct sandbox_spec *spec)
{
    const struct port_loan *loan = ports_of(&a->ports, id);
    int r = 0;

    if (loan)
        spec->network = SANDBOX_NETWORK_NAT;
    for (size_t i = 0; loan && i < loan->n && r == 0; i++)
        r = sandbox_spec_add_port(spec, loan->list[i].host, loan->list[i].container);
    return r;
}

/* What a task says of its disk is cut down to what the configuration allows; without that there is
 * no limit, as upstream has none. */
static uint64_t disk_of(const struct job *j, uint64_t most)
{
    uint64_t own = (uint64_t)j->parameters.disk * JOB_MIB;

    if (most == 0)
        return 0;
    return MAX(own > 0 ? MIN(own, most) : most, SANDBOX_DISK_MIN);
}

struct sandbox_limits job_spec_limits(const struct job *j, const struct job_limits *own)
{
    struct sandbox_limits l = {
        .pids = own->pids,
        .nofile = own->files ? own->files : j->agent->nofile_per_slot,
        .disk_bytes = disk_of(j, own->disk),
        .disk_inodes = own->inodes ? MAX(own->inodes, SANDBOX_INODES_MIN) : 0,
        .cpu_share = own->cpu * LIMIT_CPU_UNIT,
        .io_weight = own->io_weight,
    };

    if (j->agent->slot_cpus)
        memcpy(l.cpus, j->agent->slot_cpus[j->slot].words, sizeof(l.cpus));
    return l;
}

/* For the administrator's eyes: ids may have any character and length. */
static char *make_label(const struct backend_message *m)
{
    char *label = m->course_id ? text_printf("%s/%s", m->course_id, m->task_id) : strdup("");

    for (char *p = label; p && *p; p++) {
        if (p - label == SANDBOX_LABEL_MAX)
            *p = 0;
        else if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
        if (!*p)
            break;
    }
    return label;
}

int job_make_spec(const struct job *j, struct sandbox_spec *spec, struct error *e)
{
    const struct job_parameters *p = &j->parameters;
    const struct image *image = j->environment->image;
    int r = job_spec_set_image(spec, image, j->container_id, image->cmd, e);

    if (r < 0)
        return r;
    spec->label = make_label(&j->message);
    if (!spec->label)
        return error_sys(e, -ENOMEM, "describing the container");
    if (wire_image_rules_of(j->environment->generation)->debugger)
        r = strv_append(&spec->env, "DEBUGGER=False");
    if (r == 0)
        r = add_mounts(j, spec);
    if (r < 0)
        return error_sys(e, r, "describing the container");
    if (job_spec_set_ports(j->agent, j->id, spec) < 0)
        return error_sys(e, -ENOMEM, "describing the container");
    if (spec->network == SANDBOX_NETWORK_NONE && p->network)
        spec->network = SANDBOX_NETWORK_NAT;
    spec->limits = job_spec_limits(j, &j->environment->limits);
    spec->limits.memory_bytes = (uint64_t)p->memory * JOB_MIB;
    spec->limits.cpu_time_usec = job_limit_usec(p->time);
    spec->limits.wall_time_usec = job_limit_usec(p->hard_time);
    spec->limits.output_bytes = j->environment->limits.output;
    return 0;
}
