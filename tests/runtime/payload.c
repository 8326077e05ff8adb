/* The program inside the sandboxes of test_launcher.c and of tests/system/test_student_calls.py:
 * static, so that it is a whole image. */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int print_environment_size(void)
{
    size_t size = 0;

    for (char **p = environ; *p; p++)
        if (strncmp(*p, "BIG", 3) == 0)
            size += strlen(*p);
    return printf("%zu", size) < 0 || fflush(stdout) != 0;
}

static int copy_stdin(void)
{
    char data[4096];
    ssize_t n;

    while ((n = read(STDIN_FILENO, data, sizeof(data))) > 0)
        if (write(STDOUT_FILENO, data, (size_t)n) != n)
            return 1;
    return n < 0;
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    if (!dir)
        return -1;
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 3; /* ".", ".." and the directory itself */
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return a;
}

static int make_socket(const char *path, int listens)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || (listens && listen(fd, 0) < 0))
        _exit(102);
    return fd;
}

/* Serves one caller after the other on PATH: each of its bytes comes back, until it leaves. */
static int serve(const char *path)
{
    int fd = make_socket(path, 1);

    if (write(STDOUT_FILENO, "r", 1) != 1)
        return 103;
    for (;;) {
        int caller = accept(fd, NULL, NULL);
        char byte;
        if (caller < 0)
            return 104;
        while (read(caller, &byte, 1) == 1)
            if (write(caller, &byte, 1) != 1)
                return 105;
        /* Kept open: the connection is one for as long as its listener's side is held. */
    }
}

/* One of each kind that is no proper socket, and "full.sock", which listens and lets nobody in. */
static int make_kinds(const char *directory)
{
    if (chdir(directory) < 0 || mkdir("directory", 0755) < 0 ||
        symlink("full.sock", "link.sock") < 0 || symlink(".", "directory-link") < 0 ||
        creat("file", 0644) < 0)
        return 106;
    make_socket("deaf.sock", 0);
    make_socket("full.sock", 1);
    if (write(STDOUT_FILENO, "r", 1) != 1)
        return 103;
    for (;;)
        pause();
}

/* Calls on PATH and waits for so many things that the other side says one after the other. */
static int call(const char *path, int waits)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char byte = 'H';

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || write(fd, &byte, 1) != 1)
        return 107;
    while (waits-- > 0)
        if (read(fd, &byte, 1) != 1)
            return 108;
    return 0;
}

/* Tells CALLER what a grader tells its student: descriptors, then a command. */
static int talk(int caller)
{
    static const char command[] = "\x81\xa7"
                                  "command"
                                  "\xa4"
                                  "true";
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec iov = {(char[]){'S'}, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    char hello = 0;

    if (read(caller, &hello, 1) != 1 || hello != 'H')
        return -1;
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), (int[]){0, 1, 2}, 3 * sizeof(int));
    if (sendmsg(caller, &m, MSG_NOSIGNAL) != 1)
        return -1;
    return send(caller, command, sizeof(command) - 1, MSG_NOSIGNAL) > 0 ? 0 : -1;
}

/* Says more to a caller than anybody wants to hear. */
static int flood(const char *path)
{
    static char data[65536];
    int caller = accept(make_socket(path, 1), NULL, NULL);

    while (caller >= 0 && send(caller, data, sizeof(data), MSG_NOSIGNAL) > 0)
        ;
    return 0;
}

/* Passes descriptors to a caller, each with a word. */
static int pass(const char *path)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    struct iovec iov = {(char *)(uintptr_t) "S", 1};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    int caller = accept(make_socket(path, 1), NULL, NULL);
    int fd = open("/task/run", O_RDONLY);

    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
    for (int i = 0; i < 20 && sendmsg(caller, &message, MSG_NOSIGNAL) == 1; i++)
        usleep(5000); /* one by one: what one recvmsg(2) takes ends at a descriptor */
    return 0;
}

/* The status in the run_student_retval that comes next on stdin. */
static int read_status(void)
{
    static unsigned char data[4096];
    static const char key[] = "\xa6"
                              "retval";
    size_t size = 0;

    for (;;) {
        ssize_t n = read(STDIN_FILENO, data + size, sizeof(data) - size);
        unsigned char *at;
        if (n <= 0)
            return 109;
        size += (size_t)n;
        at = memmem(data, size, key, sizeof(key) - 1);
        if (at && at + sizeof(key) < data + size)
            return at[sizeof(key) - 1] == 0xcc ? at[sizeof(key)] : at[sizeof(key) - 1];
    }
}

/* What INGInious' run_student is for an agent. /task/request goes out; then a student is waited for
 * on PATH and talked to; and of what comes in, only that counts which comes after it was asked for,
 * a moment later. Exits with the status it was told. */
static int run_student(const char *path)
{
    int listener = make_socket(path, 1);
    int request = open("/task/request", O_RDONLY);
    struct pollfd in = {STDIN_FILENO, POLLIN, 0};
    char data[4096];
    ssize_t n = read(request, data, sizeof(data));
    int caller;

    if (n <= 0 || write(STDOUT_FILENO, data, (size_t)n) != n)
        return 110;
    caller = accept(listener, NULL, NULL);
    if (caller < 0)
        return 104;
    if (talk(caller) < 0)
        return 111;
    usleep(20000);
    while (poll(&in, 1, 0) == 1)
        if (read(STDIN_FILENO, data, sizeof(data)) <= 0)
            return 109;
    return read_status();
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 100;
    if (strcmp(argv[1], "exit") == 0 && argc == 3)
        return (int)strtol(argv[2], NULL, 10);
    if (strcmp(argv[1], "cat") == 0)
        return copy_stdin();
    if (strcmp(argv[1], "environment") == 0)
        return print_environment_size();
    if (strcmp(argv[1], "fds") == 0)
        return count_fds();
    if (strcmp(argv[1], "serve") == 0 && argc == 3)
        return serve(argv[2]);
    if (strcmp(argv[1], "kinds") == 0 && argc == 3)
        return make_kinds(argv[2]);
    if (strcmp(argv[1], "call") == 0 && argc == 3)
        return call(argv[2], 1);
    if (strcmp(argv[1], "obey") == 0 && argc == 3)
        return call(argv[2], 2);
    if (strcmp(argv[1], "call-and-leave") == 0 && argc == 3)
        return call(argv[2], 0);
    if (strcmp(argv[1], "status") == 0)
        return read_status();
    if (strcmp(argv[1], "flood") == 0 && argc == 3)
        return flood(argv[2]);
    if (strcmp(argv[1], "pass") == 0 && argc == 3)
        return pass(argv[2]);
    if (strcmp(argv[1], "run-student") == 0 && argc == 3)
        return run_student(argv[2]);
    if (strcmp(argv[1], "fault") == 0)
        __builtin_trap(); /* the only signal of its own that PID 1 dies of */
    if (strcmp(argv[1], "wait") == 0)
        for (;;)
            pause();
    return 101;
}
