/* Programs that take all they can get of one kind of resource. Each is bounded by itself, so that a
 * missing limit fails a test and not the machine. */
#include "attacker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MIB       (1UL << 20)
#define FORKS_MAX 3000
#define FDS_MAX   200000
#define FILES_MAX 200000

static int anonymous(unsigned long mib)
{
    for (; mib > 0; mib--) {
        char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return 10;
        memset(p, 1, MIB);
    }
    return 0;
}

/* The same in many processes at once, none of which has much. */
static int children(unsigned long mib)
{
    for (unsigned long i = 0; i < mib / 8; i++) {
        if (fork() == 0) {
            anonymous(8);
            pause();
        }
    }
    sleep(600); /* until one of them has too much */
    return 0;
}

static int file(const char *path, unsigned long mib)
{
    static char block[MIB];
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    memset(block, 1, sizeof(block));
    for (; fd >= 0 && mib > 0; mib--)
        if (write(fd, block, sizeof(block)) != (ssize_t)sizeof(block))
            return errno == ENOSPC || errno == EDQUOT ? 11 : 12;
    return fd < 0 ? 12 : 0;
}

/* What sockets hold that nobody reads from. */
static int sockets(void)
{
    static char block[65536];

    for (int i = 0; i < FDS_MAX; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0)
            return 13;
        while (write(pair[0], block, sizeof(block)) > 0)
            ;
    }
    return 0;
}

static int pipes(void)
{
    static char block[4096];

    for (int i = 0; i < FDS_MAX; i++) {
        int pair[2];
        if (pipe2(pair, O_NONBLOCK) < 0)
            return 13;
        (void)fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
        while (write(pair[1], block, sizeof(block)) > 0)
            ;
    }
    return 0;
}

static int descriptors(void)
{
    int n = 0;

    while (n < FDS_MAX && eventfd(0, 0) >= 0)
        n++;
    printf("%d descriptors\n", n);
    return n < FDS_MAX ? 13 : 0;
}

/* Objects of the kernel that are neither pages nor files: watches, timers, queues. */
static int objects(void)
{
    int inotify = inotify_init1(0), epoll = epoll_create1(0);
    char path[64];

    for (int i = 0; i < FILES_MAX; i++) {
        struct epoll_event event = {.events = EPOLLIN};
        timer_t timer;
        struct sigevent signal = {.sigev_notify = SIGEV_NONE};
        int fd = i % 8 == 0 ? eventfd(0, 0) : -1;
        snprintf(path, sizeof(path), "/tmp/%d", i);
        if (mkdir(path, 0700) < 0 && errno != EEXIST)
            return 14;
        (void)inotify_add_watch(inotify, path, IN_ALL_EVENTS);
        if (fd >= 0)
            (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        (void)timer_create(CLOCK_MONOTONIC, &signal, &timer);
        (void)msgget(IPC_PRIVATE, 0600);
    }
    return 0;
}

static int inodes(const char *dir)
{
    char path[64];

    for (int i = 0; i < FILES_MAX; i++) {
        int fd;
        snprintf(path, sizeof(path), "%s/%d", dir, i);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        if (fd < 0)
            return errno == ENOSPC ? 11 : 12;
        close(fd);
    }
    return 0;
}

/* All that disks give: bytes, then what is left of them in small pieces, long links and attributes;
 * in the places that a program can write to, a parent's among them. Waits with what it has. */
static int disk(unsigned long mib)
{
    static const char *const dirs[] = {"/tmp", "/", "/shared"};
    static char value[3000];
    char path[64];

    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
        int fd;
        snprintf(path, sizeof(path), "%s/fill", dirs[i]);
        if (file(path, mib) == 0)
            return 0;
        snprintf(path, sizeof(path), "%s/more", dirs[i]);
        fd = open(path, O_WRONLY | O_CREAT, 0600);
        if (fd >= 0 && fallocate(fd, 0, 0, (off_t)(mib * MIB)) == 0)
            return 0;
        for (int n = 0; n < 200 && fd >= 0; n++) {
            snprintf(path, sizeof(path), "user.%d", n);
            if (fsetxattr(fd, path, value, sizeof(value), 0) < 0)
                break;
        }
    }
    puts("full");
    return getchar() == 'x' ? 11 : 16;
}

static int files(void)
{
    int r = inodes("/tmp");

    if (r == 0)
        return 0;
    r = inodes("/shared");
    puts("full");
    return getchar() == 'x' ? (r == 0 ? 0 : 11) : 16;
}

/* Forks that fork. */
static int forks(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < FORKS_MAX; i++)
        if (fork() < 0)
            usleep(1000);
    return 0;
}

static int output(unsigned long mib)
{
    static char block[MIB];

    memset(block, 'x', sizeof(block));
    for (; mib > 0; mib--)
        if (write(1, block, sizeof(block)) < 0)
            return 15;
    return 0;
}

int bomb(const char *kind, unsigned long mib)
{
    if (strcmp(kind, "anonymous") == 0)
        return anonymous(mib);
    if (strcmp(kind, "children") == 0)
        return children(mib);
    if (strcmp(kind, "tmpfs") == 0)
        return file("/dev/shm/bomb", mib);
    if (strcmp(kind, "pages") == 0)
        return file("/tmp/bomb", mib);
    if (strcmp(kind, "sockets") == 0)
        return sockets();
    if (strcmp(kind, "pipes") == 0)
        return pipes();
    if (strcmp(kind, "descriptors") == 0)
        return descriptors();
    if (strcmp(kind, "objects") == 0)
        return objects();
    if (strcmp(kind, "inodes") == 0)
        return inodes("/dev/shm");
    if (strcmp(kind, "disk") == 0)
        return disk(mib);
    if (strcmp(kind, "files") == 0)
        return files();
    if (strcmp(kind, "forks") == 0)
        return forks();
    if (strcmp(kind, "output") == 0)
        return output(mib);
    return 98;
}
