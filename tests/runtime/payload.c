/* The program inside the sandboxes of test_launcher.c: static, so that it is a whole image. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

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

/* One of each kind that is no proper socket, and "full", which listens and does not answer. */
static int make_kinds(const char *directory)
{
    if (chdir(directory) < 0 || mkdir("directory", 0755) < 0 || symlink("full", "link") < 0 ||
        symlink(".", "directory-link") < 0 || !fopen("file", "w"))
        return 106;
    make_socket("deaf", 0);
    make_socket("full", 1);
    if (write(STDOUT_FILENO, "r", 1) != 1)
        return 103;
    for (;;)
        pause();
}

static int call(const char *path, int waits)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char byte = 'H';

    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || write(fd, &byte, 1) != 1)
        return 107;
    return waits && read(fd, &byte, 1) != 1 ? 108 : 0;
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
    if (strcmp(argv[1], "call-and-leave") == 0 && argc == 3)
        return call(argv[2], 0);
    if (strcmp(argv[1], "wait") == 0)
        for (;;)
            pause();
    return 101;
}
