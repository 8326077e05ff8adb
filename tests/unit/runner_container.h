/* Containers for tests of the in-container program: the real program as PID 1 of namespaces of its
 * own, with this machine's /usr for a root file system, and a test that plays the agent. Needs
 * root. */
#pragma once

#include "commands.h"

#include "base/fdio.h"
#include "base/text.h"
#include "wire/frame.h"
#include "wire/pack.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(expression)                                                                           \
    do {                                                                                           \
        if ((expression) < 0) {                                                                    \
            fprintf(stderr, "%s: %s\n", #expression, strerror(errno));                             \
            _exit(125);                                                                            \
        }                                                                                          \
    } while (0)

#define JOB_STUDENTS_MAX 32

/* One file of the container; a target makes it a link. */
struct file {
    const char *path, *text, *target;
    mode_t mode;
};

/* What the agent of the test does with a run_student. */
enum agent_habit {
    AGENT_STARTS_STUDENTS,
    AGENT_REFUSES,        /* 254, no container */
    AGENT_LOSES_STUDENTS, /* says it has started one, then 252 */
    AGENT_STANDS_IN       /* the same, and connects in its place */
};

struct student_of_job {
    pid_t pid;
    int pidfd;
    char *socket_id;
};

struct job {
    /* What the test says. */
    const char *run; /* /task/run */
    struct file files[4];
    const char *run_cmd;
    bool debug, as_root;
    const char *option;     /* of INGInious */
    struct wire_span input; /* empty: an empty map */
    size_t piece;           /* bytes of `start` written at a time; 0: all */
    bool no_start;          /* only end of file */
    bool no_sockets;        /* no /sockets */
    bool debug_ssh;         /* debug: "ssh" */
    const char *typed;      /* what is typed when a login is offered; NULL: nobody logs in */
    enum agent_habit habit;
    /* What came of it. */
    struct buffer output;    /* the body of the result */
    struct wire_span result; /* the map in it; empty: none */
    int status;
    struct container_message asked; /* the last run_student */
    unsigned n_asked;
    struct container_message offered; /* the last login */
    int login_status;
    /* Its inside. */
    char dir[32]; /* root/ (mount point), task/, sockets/ */
    int to_grader;
    pid_t grader;
    struct student_of_job students[JOB_STUDENTS_MAX];
    size_t n_students;
};

static inline void make_file(const struct file *f)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), ".%s", f->path);
    for (char *p = path + 2; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(path, 0755);
    }
    if (f->target) {
        MUST(symlink(f->target, path));
        return;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(fd);
    MUST(fd_write_full(fd, f->text, strlen(f->text)));
    MUST(fchmod(fd, f->mode ? f->mode : 0644));
    close(fd);
}

static inline void bind_mount(const char *from, const char *to)
{
    MUST(mount(from, to, NULL, MS_BIND | MS_REC, NULL));
}

static inline void bind_of_job(const struct job *j, const char *name, const char *to)
{
    char from[256];

    snprintf(from, sizeof(from), "%s/%s", j->dir, name);
    bind_mount(from, to);
}

/* Fills the present directory, an empty tmpfs. */
static inline void make_root(void)
{
    static const char *const dirs[] = {"usr", "proc", "dev",     "dev/pts", "etc",
                                       "tmp", "task", "program", "run"};
    static const char *const links[] = {"bin", "sbin", "lib", "lib64"};
    static const char *const devices[] = {"/dev/null", "/dev/zero", "/dev/urandom"};
    char to[64];

    for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
        MUST(mkdir(dirs[i], 0755));
    for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
        snprintf(to, sizeof(to), "usr/%s", links[i]);
        MUST(symlink(to, links[i]));
    }
    bind_mount("/usr", "usr");
    MUST(mount("proc", "proc", "proc", 0, NULL));
    for (size_t i = 0; i < ARRAY_SIZE(devices); i++) {
        make_file(&(struct file){.path = devices[i], .text = ""});
        bind_mount(devices[i], devices[i] + 1);
    }
    MUST(mount("devpts", "dev/pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"));
    MUST(symlink("pts/ptmx", "dev/ptmx"));
    MUST(symlink("/proc/self/fd", "dev/fd"));
    MUST(symlink("/proc/self/fd/1", "dev/stdout"));
    MUST(chmod("tmp", 01777));
    make_file(&(struct file){.path = "/program/dockless-runner", .text = ""});
    bind_mount(DOCKLESS_RUNNER_PROGRAM, "program/dockless-runner");
    for (const struct command *c = commands; c->name; c++) {
        snprintf(to, sizeof(to), "program/%s", c->name);
        MUST(symlink("dockless-runner", to));
    }
    make_file(&(struct file){.path = "/etc/hosts", .text = "127.0.0.1 localhost\n"});
    make_file(&(struct file){.path = "/etc/resolv.conf", .text = ""});
    make_file(&(struct file){.path = "/etc/passwd",
                             .text = "root:x:0:0::/root:/bin/bash\n"
                                     "worker:x:4242:4242::/task:/bin/bash\n"});
    make_file(&(struct file){.path = "/etc/group", .text = "root:x:0:\nworker:x:4242:\n"});
    make_file(&(struct file){.path = "/etc/shadow", .text = "root:*:1::::::\nworker:*:1::::::\n"});
    make_file(&(struct file){.path = "/etc/shells", .text = "/bin/bash\n"});
}

static inline void fill_grader(const struct job *j)
{
    bind_of_job(j, "task", "task");
    if (!j->no_sockets) {
        MUST(mkdir("sockets", 0755));
        bind_of_job(j, "sockets", "sockets");
    }
    if (j->run)
        make_file(&(struct file){.path = "/task/run", .text = j->run, .mode = 0644});
    for (size_t i = 0; i < ARRAY_SIZE(j->files) && j->files[i].path; i++)
        make_file(&j->files[i]);
}

static inline void fill_student(const struct job *j, const char *socket_id)
{
    char name[128];

    snprintf(name, sizeof(name), "sockets/%s.sock", socket_id);
    make_file(&(struct file){.path = "/__parent.sock", .text = ""});
    bind_of_job(j, name, "__parent.sock");
    MUST(mkdir("task/student", 0755));
    bind_of_job(j, "task/student", "task/student");
    MUST(mkdir("task/systemfiles", 0755));
    snprintf(name, sizeof(name), "%s/task/systemfiles", j->dir);
    if (access(name, F_OK) == 0)
        bind_mount(name, "task/systemfiles");
}

/* In a process of its own, in new namespaces, as their first process. STUDENT: its socket id. */
static inline void become_container(const struct job *j, const char *student, int in, int out)
{
    const char *grader[] = {"INGInious", j->option, NULL};
    const char *const intern[] = {"_run_student_intern", NULL};
    const char *const *argv = student ? intern : grader;
    const char *env[] = {"PATH=/program:/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/root",
                         "ASAN_OPTIONS=detect_leaks=0", NULL};
    char path[64];

    MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    snprintf(path, sizeof(path), "%s/root", j->dir);
    MUST(mount("tmpfs", path, "tmpfs", 0, "mode=0755"));
    MUST(chdir(path));
    make_root();
    if (student)
        fill_student(j, student);
    else
        fill_grader(j);
    MUST(chroot("."));
    if (in >= 0)
        MUST(dup2(in, STDIN_FILENO));
    if (out >= 0)
        MUST(dup2(out, STDOUT_FILENO));
    MUST(close_range(3, ~0U, 0));
    snprintf(path, sizeof(path), "/program/%s", argv[0]);
    MUST(execve(path, (char **)(uintptr_t)argv, (char **)(uintptr_t)env));
}

static inline void raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    MUST(fd);
    MUST(ioctl(fd, SIOCSIFFLAGS, &request));
    close(fd);
}

/* The process returned is outside and exits as the container's first process does. */
static inline pid_t start_container(const struct job *j, const char *student, const int *in,
                                    const int *out)
{
    pid_t outer = fork(), inner;
    int status;

    assert_true(outer >= 0);
    if (outer > 0)
        return outer;
    if (in)
        close(in[1]);
    if (out)
        close(out[0]);
    if (student)
        MUST(close_range(3, ~0U, 0));
    MUST(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET));
    raise_loopback();
    inner = fork();
    MUST(inner);
    if (inner == 0)
        become_container(j, student, in ? in[0] : -1, out ? out[1] : -1);
    MUST(close_range(3, ~0U, 0));
    MUST(waitpid(inner, &status, 0));
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 124);
}

static inline void send_start(const struct job *j)
{
    static const char *const types[] = {"docker"};
    static const uint8_t empty_map[] = {0x80}, booleans[] = {0xc2, 0xc3}, ssh[] = "\xa3ssh";
    _cleanup_buffer_ struct buffer frame = {.max = WIRE_FRAME_MAX};
    struct frame_start start = {
        .input = j->input.size ? j->input : (struct wire_span){empty_map, 1},
        .debug = {j->debug_ssh ? ssh : &booleans[j->debug], j->debug_ssh ? 4 : 1},
        .environment_types = types,
        .n_types = 1,
        .run_cmd = j->run_cmd,
        .run_as_root = j->as_root};
    size_t piece;

    assert_int_equal(frame_encode_start(WIRE_MAIN, &start, &frame), 0);
    piece = j->piece ? j->piece : frame.size;
    for (size_t at = 0; at < frame.size; at += piece)
        assert_int_equal(fd_write_full(j->to_grader, frame.data + at, MIN(piece, frame.size - at)),
                         0);
}

static inline void send_started(const struct job *j, const char *socket_id)
{
    _cleanup_buffer_ struct buffer b = {.max = 4096};

    assert_int_equal(frame_encode_student_started(WIRE_MAIN, socket_id, "c0ffee", &b), 0);
    assert_int_equal(fd_write_full(j->to_grader, b.data, b.size), 0);
}

static inline void send_retval(const struct job *j, const char *socket_id, int retval)
{
    _cleanup_buffer_ struct buffer b = {.max = 4096};

    assert_int_equal(frame_encode_student_retval(WIRE_MAIN, retval, socket_id, &b), 0);
    /* A grader that has ended does not read it. */
    fd_write_full(j->to_grader, b.data, b.size);
}

/* Connects to the socket of a student, as it would, and goes away. */
static inline void stand_in(const struct job *j, const char *socket_id)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/sockets/%s.sock", j->dir, socket_id);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fd_write_full(fd, "H", 1), 0);
    usleep(20000);
    close(fd);
}

static inline void handle_run_student(struct job *j)
{
    const char *id = j->asked.socket_id;
    struct student_of_job *s;

    j->n_asked++;
    if (j->habit == AGENT_REFUSES) {
        send_retval(j, id, 254);
        return;
    }
    if (j->habit != AGENT_STARTS_STUDENTS) {
        send_started(j, id);
        if (j->habit == AGENT_STANDS_IN)
            stand_in(j, id);
        send_retval(j, id, 252);
        return;
    }
    assert_true(j->n_students < JOB_STUDENTS_MAX);
    s = &j->students[j->n_students++];
    s->socket_id = strdup(id);
    send_started(j, id);
    s->pid = start_container(j, id, NULL, NULL);
    s->pidfd = pidfd_open(s->pid, 0);
    assert_true(s->pidfd >= 0);
}

static inline void student_ended(struct job *j, size_t i)
{
    struct student_of_job *s = &j->students[i];
    int status;

    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    send_retval(j, s->socket_id, WIFEXITED(status) ? WEXITSTATUS(status) : 255);
    close(s->pidfd);
    free(s->socket_id);
    *s = j->students[--j->n_students];
}

/* Logs in with the password that was offered and types, from inside the network of PID. */
static inline void log_in(struct job *j, pid_t pid)
{
    char path[128], script[256], at[64];
    const char *argv[] = {"/usr/bin/ssh",
                          "-tt",
                          "-oStrictHostKeyChecking=no",
                          "-oLogLevel=ERROR",
                          "-oUserKnownHostsFile=/dev/null",
                          "-oConnectionAttempts=20",
                          at,
                          NULL};
    int input[2], status;
    pid_t client;

    snprintf(path, sizeof(path), "%s/askpass", j->dir);
    snprintf(script, sizeof(script), "#!/bin/sh\necho '%s'\n", j->offered.ssh_key);
    status = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
    assert_int_equal(fd_write_full(status, script, strlen(script)), 0);
    close(status);
    snprintf(at, sizeof(at), "%s@127.0.0.1", j->offered.ssh_user);
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    client = fork();
    assert_true(client >= 0);
    if (client == 0) {
        const char *env[] = {"SSH_ASKPASS_REQUIRE=force", "TERM=dumb", script, NULL};
        char namespace[64];
        snprintf(namespace, sizeof(namespace), "/proc/%d/ns/net", (int)pid);
        MUST(setns(open(namespace, O_RDONLY | O_CLOEXEC), CLONE_NEWNET));
        snprintf(script, sizeof(script), "SSH_ASKPASS=%s", path);
        MUST(dup2(input[0], STDIN_FILENO));
        MUST(setsid());
        usleep(300000); /* the server opens its socket after its password was sent */
        MUST(execve(argv[0], (char **)(uintptr_t)argv, (char **)(uintptr_t)env));
    }
    assert_int_equal(fd_write_full(input[1], j->typed, strlen(j->typed)), 0);
    assert_int_equal(waitpid(client, &status, 0), client);
    j->login_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    close(input[0]);
    close(input[1]);
}

static inline void handle_login(struct job *j, struct container_message *m)
{
    container_message_clear(&j->offered);
    j->offered = *m;
    if (j->typed)
        log_in(j, j->n_students ? j->students[j->n_students - 1].pid : j->grader);
}

static inline void handle_frame(struct job *j, const uint8_t *body, size_t size)
{
    struct container_message m = CONTAINER_MESSAGE_INIT;

    assert_int_equal(container_message_decode(WIRE_MAIN, body, size, &m, NULL), 0);
    if (m.type == CONTAINER_RUN_STUDENT) {
        container_message_clear(&j->asked);
        j->asked = m;
        handle_run_student(j);
        return;
    }
    if (m.type == CONTAINER_SSH_DEBUG || m.type == CONTAINER_SSH_STUDENT) {
        handle_login(j, &m);
        return;
    }
    assert_int_equal(m.type, CONTAINER_RESULT);
    assert_int_equal(j->output.size, 0); /* exactly one */
    assert_int_equal(buffer_append(&j->output, body, size), 0);
    container_message_clear(&m);
}

/* Everything the grader says, until it says no more, and what students do meanwhile. */
static inline void serve_job(struct job *j, int from_grader)
{
    struct frame_reader reader = {.order = FRAME_BIG_ENDIAN, .max = WIRE_FRAME_MAX};
    uint8_t bytes[1 << 16];
    const uint8_t *body;
    size_t size;
    bool open = true;

    while (open || j->n_students) {
        struct pollfd fds[JOB_STUDENTS_MAX + 1] = {
            {.fd = open ? from_grader : -1, .events = POLLIN}};
        size_t n = j->n_students;
        ssize_t got = 0;
        for (size_t i = 0; i < n; i++)
            fds[i + 1] = (struct pollfd){.fd = j->students[i].pidfd, .events = POLLIN};
        assert_true(poll(fds, n + 1, -1) >= 0);
        for (size_t i = n; i > 0; i--)
            if (fds[i].revents)
                student_ended(j, i - 1);
        if (!fds[0].revents)
            continue;
        got = read(from_grader, bytes, sizeof(bytes));
        assert_true(got >= 0);
        open = got > 0;
        assert_int_equal(frame_reader_push(&reader, bytes, (size_t)got), 0);
        while (frame_reader_next(&reader, &body, &size) > 0)
            handle_frame(j, body, size);
        /* As an agent ends the students of a job that has ended. */
        for (size_t i = 0; !open && i < j->n_students; i++)
            kill(j->students[i].pid, SIGKILL);
    }
    assert_int_equal(reader.pending.size - reader.consumed, 0); /* nothing behind the result */
    frame_reader_clear(&reader);
}

static inline void make_job_dirs(struct job *j)
{
    static const char *const names[] = {"root", "task", "sockets", "task/student",
                                        "task/student/scripts"};
    char path[64];

    strcpy(j->dir, "/tmp/dockless-test-XXXXXX");
    assert_non_null(mkdtemp(j->dir));
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", j->dir, names[i]);
        assert_int_equal(mkdir(path, 0777), 0);
        assert_int_equal(chmod(path, 0777), 0);
    }
}

/* Runs the job to its end. stdin stays open until then, as an agent keeps it. */
static inline void run_job(struct job *j)
{
    struct wire_value type, result;
    int in[2], out[2], status;
    pid_t pid;

    make_job_dirs(j);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid = j->grader = start_container(j, NULL, in, out);
    close(in[0]);
    close(out[1]);
    j->to_grader = in[1];
    if (j->no_start)
        j->to_grader = safe_close(in[1]);
    else
        send_start(j);
    j->output.max = WIRE_FRAME_MAX;
    serve_job(j, out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    safe_close(j->to_grader);
    close(out[0]);
    assert_int_equal(fd_remove_tree(AT_FDCWD, j->dir), 0);
    assert_true(WIFEXITED(status));
    j->status = WEXITSTATUS(status);
    if (j->output.size == 0)
        return;
    j->result = (struct wire_span){j->output.data, j->output.size};
    assert_true(wire_map_get(j->result, "type", &type) && wire_is_text(&type, "result"));
    assert_true(wire_map_get(j->result, "result", &result) && result.kind == WIRE_MAP);
    j->result = result.raw;
    assert_int_equal(j->status, 0);
}

static inline void job_clear(struct job *j)
{
    buffer_clear(&j->output);
    container_message_clear(&j->asked);
    container_message_clear(&j->offered);
}
#define _cleanup_job_ _cleanup_(job_clear)

/* The text under KEY of the result, or of MAP in it; "(none)" where there is none. */
static inline const char *field(struct job *j, const char *map, const char *key)
{
    static char text[1 << 16];
    struct wire_value v = {.raw = j->result};

    if ((map && !wire_map_get(v.raw, map, &v)) || !wire_map_get(v.raw, key, &v) ||
        v.kind != WIRE_STR)
        return "(none)";
    snprintf(text, sizeof(text), "%.*s", (int)v.size, v.text);
    return text;
}

static inline double number_field(struct job *j, const char *map, const char *key)
{
    struct wire_value v = {.raw = j->result};

    if (map)
        assert_true(wire_map_get(v.raw, map, &v));
    assert_true(wire_map_get(v.raw, key, &v));
    return v.kind == WIRE_INT ? (double)v.integer : v.real;
}

static inline int needs_root(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root to make namespaces\n");
        skip();
    }
    return 0;
}
