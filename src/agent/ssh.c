#include "agent/ssh.h"

#include "agent/texts.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <string.h>

/* Which of our addresses a packet to DESTINATION would leave from. None is sent: connect(2) of a
 * datagram socket only looks the route up. */
static int source_address(int family, const char *destination, char host[SSH_HOST_SIZE])
{
    struct sockaddr_storage storage = {.ss_family = (sa_family_t)family};
    struct sockaddr_in *in = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
    void *address = family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr;
    socklen_t size = family == AF_INET ? sizeof(*in) : sizeof(*in6);
    _cleanup_close_ int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    inet_pton(family, destination, address);
    *(family == AF_INET ? &in->sin_port : &in6->sin6_port) = htons(SSH_PORT);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&storage, size) < 0 ||
        getsockname(fd, (struct sockaddr *)&storage, &size) < 0)
        return -errno;
    return inet_ntop(family, address, host, SSH_HOST_SIZE) ? 0 : -errno;
}

int ssh_host(const struct agent *a, char host[SSH_HOST_SIZE])
{
    if (a->config->network.debug_host) {
        snprintf(host, SSH_HOST_SIZE, "%s", a->config->network.debug_host);
        return 0;
    }
    /* Addresses of examples (RFC 5737, RFC 3849): only a default route leads there. */
    if (source_address(AF_INET, "192.0.2.1", host) == 0 ||
        source_address(AF_INET6, "2001:db8::1", host) == 0)
        return 0;
    return -ENETUNREACH;
}

void ssh_log_host(const struct agent *a)
{
    char host[SSH_HOST_SIZE];

    if (a->config->network.first_port == 0)
        log_info("nobody can log in by ssh: there are no --debug-ports");
    else if (ssh_host(a, host) == 0)
        log_info("people log in by ssh at %s", host);
    else
        log_warning("nobody can log in by ssh: there is no default route that would tell at which "
                    "address, and no --debug-host");
}

size_t ssh_ports_needed(const struct job *j, uint16_t *ports)
{
    bool need_ssh = j->message.debug_ssh;
    size_t n = 0;

    for (size_t i = 0; i < j->environment->n_ports && n < SANDBOX_PORTS_MAX; i++) {
        uint16_t port = j->environment->ports[i];
        bool twice = false;
        for (size_t k = 0; k < n; k++)
            twice = twice || ports[k] == port;
        if (!twice)
            ports[n++] = port;
        need_ssh = need_ssh && port != SSH_PORT;
    }
    if (need_ssh && n < SANDBOX_PORTS_MAX)
        ports[n++] = SSH_PORT;
    return n;
}

const char *ssh_student_refusal(const struct job *j)
{
    const struct network_config *n = &j->agent->config->network;
    char host[SSH_HOST_SIZE];

    if (!n->ssh || !j->parameters.network ||
        strcmp(j->message.environment_type, n->ssh_environment_type) != 0)
        return TEXT_STUDENT_SSH;
    return ssh_host(j->agent, host) < 0 ? TEXT_NO_SSH_HOST : NULL;
}

/* Images of the first releases name none. */
static const char *user_of(const struct container_message *m)
{
    return m->ssh_user ? m->ssh_user : "worker";
}

/* Whether the login can be told; where not, the log says why. */
static bool is_acceptable(struct job *j, uint16_t port, const struct container_message *m)
{
    const char *why = NULL;

    if (port == 0)
        why = "its container has no port for it";
    else if (j->ssh_offered)
        why = "one was offered already";
    else if (strlen(user_of(m)) > SSH_TEXT_MAX || strlen(m->ssh_key) > SSH_TEXT_MAX)
        why = "its user or password is too long";
    if (why && job_may_log(j))
        log_info("job %s: a login by ssh is not passed on: %s", j->message.job_id.text, why);
    return !why;
}

void ssh_offer(struct job *j, uint64_t id, const struct container_message *m)
{
    _cleanup_buffer_ struct buffer frame = {0};
    uint16_t port = ports_lookup(&j->agent->ports, id, SSH_PORT);
    char host[SSH_HOST_SIZE];
    int r;

    if (!is_acceptable(j, port, m))
        return;
    r = ssh_host(j->agent, host);
    if (r == 0)
        r = backend_encode_ssh(j->agent->protocol, &j->message.job_id, host, port, user_of(m),
                               m->ssh_key, &frame);
    if (r == 0)
        r = link_send(j->agent->link, &frame);
    if (r < 0) {
        log_warning("job %s: a login by ssh cannot be passed on: %s", j->message.job_id.text,
                    strerror(-r));
        return;
    }
    j->ssh_offered = true;
    log_info("job %s: %s may log in at %s port %u", j->message.job_id.text, user_of(m), host, port);
}
