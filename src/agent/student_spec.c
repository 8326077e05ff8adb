/* A student container as a sandbox: what Docker was told by upstream's agent
 * (create_container_student), as a struct sandbox_spec. */
#include "agent/student.h"

#include <string.h>

/* Docker makes what is missing of a volume's source with this mode, owned by root. */
#define MADE_MODE 0755

static int add(struct sandbox_spec *spec, enum job_mount of, const char *source, const char *target,
               bool read_only, bool optional)
{
    struct sandbox_mount *m =
        sandbox_spec_add_mount(spec, SANDBOX_MOUNT_PARENT, (uint32_t)of, source, target);

    if (!m)
        return -ENOMEM;
    m->read_only = read_only;
    m->optional = optional;
    /* The mode of what is made; what is there keeps its own. */
    m->mode = optional ? MADE_MODE : 0;
    return 0;
}

static int add_mounts(const struct student *s, struct sandbox_spec *spec)
{
    _cleanup_free_ char *socket = text_printf("%s.sock", s->socket_id);
    int r = socket ? 0 : -ENOMEM;

    if (r == 0)
        r = add(spec, MOUNT_TASK, "student", "/task/student", false, true);
    if (r == 0 && wire_image_rules_of(s->environment->generation)->student_scripts)
        r = add(spec, MOUNT_TASK, "student/scripts", "/task/student/scripts", false, true);
    if (r == 0)
        r = add(spec, MOUNT_SOCKETS, socket, "/__parent.sock", false, false);
    if (r == 0)
        r = add(spec, MOUNT_TASK, "systemfiles", "/task/systemfiles", true, true);
    if (r == 0)
        r = add(spec, MOUNT_COMMON, "student", "/course/common/student", true, false);
    return r;
}

int student_make_spec(const struct student *s, struct sandbox_spec *spec, struct error *e)
{
    static char command[] = "_run_student_intern", runtime[] = WIRE_RUNTIME;
    bool runtimes = wire_image_rules_of(s->environment->generation)->student_runtimes;
    char *const argv[] = {command, runtimes ? runtime : NULL, s->job->message.environment_type,
                          NULL};
    int r = job_spec_set_image(spec, s->environment->image, s->container_id, argv, e);

    if (r < 0)
        return r;
    r = add_mounts(s, spec);
    if (r < 0)
        return error_sys(e, r, "describing the student container");
    spec->parent = s->job->id;
    spec->network = s->share_network ? SANDBOX_NETWORK_PARENT : SANDBOX_NETWORK_NONE;
    if (job_spec_set_ports(s->job->agent, s->id, spec) < 0)
        return error_sys(e, -ENOMEM, "describing the student container");
    spec->limits = job_spec_limits(s->job, &s->environment->limits);
    spec->limits.memory_bytes = (uint64_t)s->memory * JOB_MIB;
    spec->limits.cpu_time_usec = job_limit_usec(s->time);
    spec->limits.wall_time_usec = job_limit_usec(s->hard_time);
    return 0;
}
