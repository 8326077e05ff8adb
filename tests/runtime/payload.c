/* The program inside the sandboxes of test_launcher.c: static, so that it is a whole image. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    if (strcmp(argv[1], "wait") == 0)
        for (;;)
            pause();
    return 101;
}
