#include "ssh.h"

#include "base64.h"
#include "prepare.h"
#include "run_file.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/text.h"

#include <crypt.h>
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHADOW_MAX ((size_t)1 << 20)
/* What a password is made of, before base64. */
#define PASSWORD_BYTES 10
/* Of the process table of one container; its pids are bounded far below. */
#define PROCESSES_MAX 4096

/* Left by a login, as one may come and go between two looks. */
#define LOGIN_MARK "tmp/.dockless-login"

/* What a login gets, behind its PATH: all of it is recorded where that is possible, and the record
 * kept in the one folder that outlives a student container. */
#define SESSION                                                                                    \
    ": >/" LOGIN_MARK "; echo 'LOGIN: Good luck !'; "                                              \
    "if command -v script >/dev/null && log=$(mktemp); then script -q $log; "                      \
    "cp $log /task/student/.ssh_logs; else bash -i; fi; echo 'LOGOUT: Good bye!'"

int ssh_set_hash(const char *text, size_t size, const char *user, const char *hash,
                 struct buffer *out)
{
    size_t length = strlen(user);
    bool found = false;
    int k = 0;

    for (size_t at = 0; k >= 0 && at < size;) {
        const char *line = text + at, *end = memchr(line, '\n', size - at), *rest;
        size_t n = end ? (size_t)(end - line) : size - at;
        at += n + (end ? 1 : 0);
        if (n <= length || memcmp(line, user, length) != 0 || line[length] != ':') {
            k = buffer_printf(out, "%.*s\n", (int)n, line);
            continue;
        }
        found = true;
        rest = memchr(line + length + 1, ':', n - length - 1);
        k = buffer_printf(out, "%s:%s%.*s\n", user, hash, rest ? (int)(line + n - rest) : 0,
                          rest ? rest : "");
    }
    if (k >= 0 && !found)
        k = buffer_printf(out, "%s:%s:::::::\n", user, hash);
    return k;
}

static int write_shadow(int etc_fd, const struct buffer *b)
{
    static const char new_name[] = "shadow.dockless";
    _cleanup_close_ int fd = -EBADF;
    int k;

    unlinkat(etc_fd, new_name, 0);
    fd = fd_openat2(etc_fd, new_name, O_WRONLY | O_CREAT | O_EXCL, 0600, 0);
    if (fd < 0)
        return fd;
    k = fd_write_full(fd, b->data, b->size);
    if (k < 0)
        return k;
    return renameat(etc_fd, new_name, etc_fd, "shadow") < 0 ? -errno : 0;
}

static int set_password(int root_fd, const char *user, const char *password, struct error *e)
{
    _cleanup_buffer_ struct buffer old = {.max = 2 * SHADOW_MAX}, new = {.max = 2 * SHADOW_MAX};
    _cleanup_close_ int etc_fd = openat(root_fd, "etc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data data = {.initialized = 0};
    const char *hash;
    int k;

    if (etc_fd < 0)
        return error_sys(e, -errno, "/etc");
    /* SHA-512: every libc's crypt(3) knows it. */
    hash = crypt_gensalt_rn("$6$", 0, NULL, 0, salt, sizeof(salt)) ? crypt_r(password, salt, &data)
                                                                   : NULL;
    if (!hash || *hash == '*')
        return error_sys(e, -errno, "crypt");
    k = fd_read_file(etc_fd, "shadow", &old, SHADOW_MAX);
    if (k >= 0 || k == -ENOENT)
        k = ssh_set_hash((const char *)old.data, old.size, user, hash, &new);
    if (k >= 0)
        k = write_shadow(etc_fd, &new);
    return k < 0 ? error_sys(e, k, "/etc/shadow") : 0;
}

static int make_password(char password[SSH_PASSWORD_SIZE])
{
    uint8_t bytes[PASSWORD_BYTES];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return -errno;
    base64_encode(bytes, sizeof(bytes), password);
    password[base64_size(sizeof(bytes))] = 0;
    return 0;
}

static int start_as_root(const char *const *argv, pid_t *ret, struct error *e)
{
    struct run_process p = {
        .argv = argv, .in = -EBADF, .out = -EBADF, .err = -EBADF, .as_root = true};

    return run_process_start(&p, ret, e);
}

/* The command of a login. Servers give it a PATH of their own; PID 1's has the commands. */
static char *session_command(const char *option)
{
    const char *path = getenv("PATH");

    if (!path || strchr(path, '\''))
        path = "/usr/local/bin:/usr/bin:/bin";
    return text_printf("%sexport PATH='%s'; " SESSION, option, path);
}

/* OpenSSH's server wants its host keys made first. */
static int start_openssh(const char *user, pid_t *ret, struct error *e)
{
    static const char *const keygen[] = {"/usr/bin/ssh-keygen", "-A", NULL};
    const char *root = strcmp(user, "root") == 0 ? "-oPermitRootLogin=yes" : "-oPermitRootLogin=no";
    _cleanup_free_ char *session = session_command("-oForceCommand=");
    char allow[64];
    /* clang-format off */
    const char *const argv[] = {
        "/usr/sbin/sshd", "-D", "-p", "22", root, allow,
        "-oPasswordAuthentication=yes", "-oUsePAM=no", "-oStrictModes=no",
        "-oAllowTcpForwarding=no", session, NULL};
    /* clang-format on */
    pid_t pid;
    int k;

    if (!session)
        return -ENOMEM;
    snprintf(allow, sizeof(allow), "-oAllowUsers=%s", user);
    if (mkdir("/run/sshd", 0755) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "/run/sshd");
    k = start_as_root(keygen, &pid, e);
    if (k < 0)
        return k;
    waitpid(pid, NULL, 0);
    return start_as_root(argv, ret, e);
}

/* dropbear makes its host keys by itself; -e: a login has PID 1's environment; -j, -k: nobody
 * tunnels through the container; -w: root may not log in. */
static int start_dropbear(const char *user, pid_t *ret, struct error *e)
{
    _cleanup_free_ char *session = session_command("");
    const char *no_root = strcmp(user, "root") == 0 ? NULL : "-w";
    /* clang-format off */
    const char *const argv[] = {
        "/usr/sbin/dropbear", "-F", "-E", "-R", "-m", "-e", "-j", "-k", "-p", "22",
        "-c", session, no_root, NULL};
    /* clang-format on */

    if (!session)
        return -ENOMEM;
    if (mkdir("/etc/dropbear", 0700) < 0 && errno != EEXIST)
        return error_sys(e, -errno, "/etc/dropbear");
    return start_as_root(argv, ret, e);
}

int ssh_start(int root_fd, const char *user, unsigned stay, struct ssh_session *ret,
              struct error *e)
{
    struct ssh_session s = {.uid = strcmp(user, "root") == 0 ? 0 : WORKER_ID};
    int k = make_password(s.password);

    if (k >= 0)
        k = set_password(root_fd, user, s.password, e);
    if (k < 0)
        return k;
    unlinkat(root_fd, "run/nologin", 0);
    unlinkat(root_fd, LOGIN_MARK, 0);
    k = faccessat(root_fd, "usr/sbin/sshd", X_OK, 0) == 0 ? start_openssh(user, &s.server, e)
                                                          : start_dropbear(user, &s.server, e);
    if (k < 0)
        return k;
    s.login_until = clock_monotonic_usec() + SSH_LOGIN_SECONDS * USEC_PER_SEC;
    s.stay = stay;
    *ret = s;
    return 0;
}

struct process {
    pid_t pid, parent;
    uid_t uid;
};

/* Parent and user of PID, from /proc; false where it is gone. */
static bool read_process(int proc_fd, const char *pid, struct process *ret)
{
    char path[32], text[1024], *p;
    _cleanup_close_ int fd = -EBADF;
    ssize_t n;

    snprintf(path, sizeof(path), "%.10s/status", pid);
    fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : fd_read_full(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = 0;
    p = strstr(text, "\nPPid:");
    ret->pid = (pid_t)strtol(pid, NULL, 10);
    ret->parent = p ? (pid_t)strtol(p + strlen("\nPPid:"), NULL, 10) : 0;
    p = strstr(text, "\nUid:");
    ret->uid = p ? (uid_t)strtoul(p + strlen("\nUid:"), NULL, 10) : 0;
    return p != NULL;
}

static size_t read_processes(int proc_fd, struct process *list, size_t max)
{
    int copy = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    size_t n = 0;

    while (dir && n < max && (entry = readdir(dir)))
        if (isdigit((unsigned char)entry->d_name[0]) &&
            read_process(proc_fd, entry->d_name, &list[n]))
            n++;
    if (dir)
        closedir(dir);
    return n;
}

static pid_t parent_of(const struct process *list, size_t n, pid_t pid)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].pid == pid)
            return list[i].parent;
    return 0;
}

/* Whether a login is there: a shell of the user's below the server. As root the server's own
 * process for a connection looks the same, so there it must be two levels below. */
static bool somebody_is_in(const struct ssh_session *s, int root_fd)
{
    static struct process list[PROCESSES_MAX];
    _cleanup_close_ int proc_fd = openat(root_fd, "proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    size_t n = proc_fd < 0 ? 0 : read_processes(proc_fd, list, PROCESSES_MAX);

    for (size_t i = 0; i < n; i++) {
        pid_t p = list[i].parent;
        if (list[i].uid != s->uid || list[i].pid == s->server)
            continue;
        if (s->uid == 0)
            p = parent_of(list, n, p);
        for (int depth = 0; p > 1 && depth < 64; depth++) {
            if (p == s->server)
                return true;
            p = parent_of(list, n, p);
        }
    }
    return false;
}

int ssh_look(struct ssh_session *s, int root_fd)
{
    uint64_t now = clock_monotonic_usec();

    if (somebody_is_in(s, root_fd)) {
        if (!s->logged_in)
            s->stay_until = now + s->stay * USEC_PER_SEC;
        s->logged_in = true;
        return s->stay && now >= s->stay_until ? SSH_NOBODY : -EAGAIN;
    }
    if (s->logged_in || faccessat(root_fd, LOGIN_MARK, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return now >= s->login_until ? SSH_NOBODY : -EAGAIN;
}
