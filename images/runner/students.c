#include "students.h"

#include "prepare.h"

#include "base/fdio.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_BACKLOG 64

int students_open(struct students *s, struct error *e)
{
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = STUDENTS_SOCKET};
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return error_sys(e, -errno, "socket");
    if (unlink(STUDENTS_SOCKET) < 0 && errno != ENOENT)
        return error_sys(e, -errno, STUDENTS_SOCKET);
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        chown(STUDENTS_SOCKET, WORKER_ID, WORKER_ID) < 0 || chmod(STUDENTS_SOCKET, 0775) < 0 ||
        listen(fd, SOCKET_BACKLOG) < 0)
        return error_sys(e, -errno, STUDENTS_SOCKET);
    s->listen_fd = TAKE_FD(fd);
    return 0;
}

static void student_clear(struct student *one)
{
    one->fd = safe_close(one->fd);
    free(one->socket_id);
    one->socket_id = NULL;
}

static void forget(struct students *s, size_t i)
{
    student_clear(&s->list[i]);
    s->list[i] = s->list[--s->n];
}

void students_clear(struct students *s)
{
    s->listen_fd = safe_close(s->listen_fd);
    while (s->n)
        forget(s, s->n - 1);
}

static struct student *find(struct students *s, const char *socket_id)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->list[i].socket_id && strcmp(s->list[i].socket_id, socket_id) == 0)
            return &s->list[i];
    return NULL;
}

size_t students_poll(const struct students *s, struct pollfd *fds)
{
    /* A full table leaves the others waiting to be accepted. */
    fds[0] = (struct pollfd){.fd = s->n < STUDENTS_MAX ? s->listen_fd : -EBADF, .events = POLLIN};
    for (size_t i = 0; i < s->n; i++)
        fds[i + 1] = (struct pollfd){.fd = s->list[i].fd, .events = POLLIN};
    return s->n + 1;
}

/* Turns what the command asked for into a frame for the agent. */
static int ask_agent(struct students *s, struct student *one, struct container_message *m,
                     struct buffer *out)
{
    struct runner_student ask = {.environment = m->environment,
                                 .time_limit = m->time_limit,
                                 .hard_time_limit = m->hard_time_limit,
                                 .memory_limit = m->memory_limit,
                                 .share_network = m->share_network,
                                 .ssh = m->ssh,
                                 .run_as_root = m->run_as_root,
                                 .socket_id = m->socket_id};

    if (m->type == CONTAINER_SSH_STUDENT && one->socket_id)
        return runner_encode_ssh_student(m->ssh_user, m->ssh_key, m->container_id, out);
    if (m->type != CONTAINER_RUN_STUDENT || one->socket_id || find(s, m->socket_id))
        return -EINVAL;
    one->socket_id = TAKE_PTR(m->socket_id);
    return runner_encode_run_student(&ask, out);
}

/* Reads a packet of student I. A command that went away or talks nonsense is forgotten. */
static int read_packet(struct students *s, size_t i, struct buffer *out)
{
    _cleanup_container_message_ struct container_message m = CONTAINER_MESSAGE_INIT;
    char packet[STUDENTS_PACKET_MAX];
    ssize_t n = recv(s->list[i].fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
    int k;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0 || (size_t)n > sizeof(packet)) {
        forget(s, i);
        return 0;
    }
    k = container_message_decode(WIRE_MAIN, packet, (size_t)n, &m, NULL);
    if (k >= 0)
        k = ask_agent(s, &s->list[i], &m, out);
    if (k == -EBADMSG || k == -EINVAL) {
        forget(s, i);
        return 0;
    }
    return k;
}

int students_handle(struct students *s, const struct pollfd *fds, size_t n, struct buffer *out)
{
    int k = 0;

    /* From the end, as forgetting one moves the last one into its place. */
    for (size_t i = n - 1; k >= 0 && i > 0; i--)
        if (fds[i].revents)
            k = read_packet(s, i - 1, out);
    if (k >= 0 && fds[0].revents && s->n < STUDENTS_MAX) {
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            s->list[s->n++] = (struct student){.fd = fd};
    }
    return k;
}

void students_answer(struct students *s, const char *socket_id, const void *body, size_t size,
                     bool last)
{
    struct student *one = find(s, socket_id);

    if (!one)
        return;
    if (send(one->fd, body, size, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 || last)
        forget(s, (size_t)(one - s->list));
}
