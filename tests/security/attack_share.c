/* One job puts a secret wherever two processes of one machine could meet; another looks for it
 * there. */
#include "attacker.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define KEY      0x5ec7e7
#define PORT     31337
#define ABSTRACT "\0dockless-security"
#define SEM_MARK 4711

struct message {
    long type;
    char text[64];
};

static socklen_t abstract_address(struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret->sun_path, ABSTRACT, sizeof(ABSTRACT) - 1);
    return offsetof(struct sockaddr_un, sun_path) + sizeof(ABSTRACT) - 1;
}

static struct sockaddr_in port_address(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void need(const char *what, long r)
{
    if (r >= 0)
        return;
    printf("victim: %s: %s\n", what, strerror(errno));
    exit(3);
}

static void put_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);

    need(path, fd);
    need(path, write(fd, SECRET, sizeof(SECRET)));
    close(fd);
}

static void share_ipc(void)
{
    struct message m = {1, SECRET};
    int id = shmget(KEY, 4096, IPC_CREAT | 0666);
    char *memory;
    mqd_t queue;

    need("shmget", id);
    memory = shmat(id, NULL, 0);
    need("shmat", memory == (void *)-1 ? -1 : 0);
    memcpy(memory, SECRET, sizeof(SECRET));
    id = msgget(KEY, IPC_CREAT | 0666);
    need("msgget", id);
    need("msgsnd", msgsnd(id, &m, sizeof(m.text), 0));
    id = semget(KEY, 1, IPC_CREAT | 0666);
    need("semget", id);
    need("semctl", semctl(id, 0, SETVAL, SEM_MARK));
    queue = mq_open("/dockless-security", O_CREAT | O_RDWR, 0666, NULL);
    need("mq_open", queue);
    need("mq_send", mq_send(queue, SECRET, sizeof(SECRET), 0));
}

static void share_sockets(void)
{
    struct sockaddr_un abstract;
    socklen_t length = abstract_address(&abstract);
    struct sockaddr_in port = port_address();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    need("abstract socket", bind(fd, (struct sockaddr *)&abstract, length));
    need("abstract socket", listen(fd, 8));
    fd = socket(AF_INET, SOCK_STREAM, 0);
    need("port", bind(fd, (struct sockaddr *)&port, sizeof(port)));
    need("port", listen(fd, 8));
}

int victim(void)
{
    char byte;

    put_file("/dev/shm/dockless-security");
    put_file("/tmp/dockless-security");
    share_ipc();
    share_sockets();
    puts("ready");
    /* Until it is told to end; then whether all is as it was. */
    if (read(0, &byte, 1) != 1)
        return 4;
    puts(access("/tmp/dockless-security", R_OK) == 0 ? "alive" : "robbed");
    return 0;
}

static void found(const char *where)
{
    printf("found: %s\n", where);
}

static void look_into_ipc(void)
{
    struct message m = {0};
    char text[8192];
    int id = shmget(KEY, 0, 0);
    char *memory = id < 0 ? (void *)-1 : shmat(id, NULL, SHM_RDONLY);
    mqd_t queue;

    if (memory != (void *)-1 && strcmp(memory, SECRET) == 0)
        found("System V shared memory");
    id = msgget(KEY, 0);
    if (id >= 0 && msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT) > 0)
        found("System V message");
    id = semget(KEY, 1, 0);
    if (id >= 0 && semctl(id, 0, GETVAL) == SEM_MARK)
        found("System V semaphore");
    queue = mq_open("/dockless-security", O_RDONLY | O_NONBLOCK);
    if (queue >= 0 && mq_receive(queue, text, sizeof(text), NULL) > 0)
        found("POSIX message queue");
    /* By number instead of by key. */
    for (id = 0; id < 64; id++) {
        struct shmid_ds ds;
        if (shmctl(id, IPC_STAT, &ds) == 0)
            found("System V shared memory by number");
    }
}

static void look_at_sockets(void)
{
    struct sockaddr_un abstract;
    socklen_t length = abstract_address(&abstract);
    struct sockaddr_in port = port_address();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (connect(fd, (struct sockaddr *)&abstract, length) == 0)
        found("abstract socket");
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&port, sizeof(port)) == 0)
        found("port");
}

static void look_at_files(void)
{
    static const char *const paths[] = {"/dev/shm/dockless-security", "/tmp/dockless-security"};

    for (unsigned i = 0; i < 2; i++)
        if (access(paths[i], F_OK) == 0)
            found(paths[i]);
}

/* Beside ourselves and, below a pid namespace that is not ours, nobody should be there. */
static void look_at_processes(void)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        int pid = atoi(entry->d_name);
        char path[300], text[4096] = {0};
        FILE *file;
        if (pid <= 0 || pid == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
        file = fopen(path, "re");
        if (file && fread(text, 1, sizeof(text) - 1, file) > 0 && strstr(text, "attacker"))
            found("process");
        if (file)
            fclose(file);
    }
    for (int pid = 2; pid < 3000; pid++) {
        if (pid == getpid())
            continue;
        if (syscall(SYS_pidfd_open, pid, 0) >= 0)
            found("pidfd of a process");
        if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0)
            found("process to be traced");
    }
}

int thief(void)
{
    look_into_ipc();
    look_at_sockets();
    look_at_files();
    look_at_processes();
    puts("searched");
    return 0;
}
