/* Theory of operation. An archive's bytes meet a decompressor and a header parser before anything
 * has vouched for them, so they do it in a child that has nothing to give away:
 *   - a user namespace with ids 0..65535 of the host's: capabilities count for files of these
 *     owners only, and for nothing else in the kernel;
 *   - a mount namespace whose only mount is the layer's own directory, without devices: no path
 *     leads out of it. The kernel lets anybody make 0/0 character devices, overlayfs's whiteouts;
 *     real device nodes are beyond a user namespace;
 *   - an empty network namespace, and no system call to make a socket;
 *   - a filter that knows only the calls of reading, writing files, memory and threads;
 *   - bounds on memory; no core files; it dies with its parent. */
#include "image/confine.h"

#include "base/fdio.h"
#include "base/sanitizer.h"
#include "image/bounds.h"
#include "weaken.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Decompressor windows, one extended header, and the names of directories in all their lists, with
 * room for the allocator. */
#define CONFINED_DATA_MAX ((rlim_t)2 << 30)

static int write_map(pid_t pid, const char *file, struct error *e)
{
    char path[64], text[32];
    int r;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
    snprintf(text, sizeof(text), "0 0 %d\n", ENTRY_OWNER_MAX + 1);
    r = fd_write_file(AT_FDCWD, path, text);
    return r < 0 ? error_sys(e, r, "write %s of the unpacker", file) : 0;
}

int confine_map_ids(pid_t pid, struct error *e)
{
    int r = write_map(pid, "uid_map", e);

    return r < 0 ? r : write_map(pid, "gid_map", e);
}

int confine_enter_namespaces(int directory_fd, struct error *e)
{
    /* A descriptor stays with the old mount namespace; the working directory goes along. */
    if (fchdir(directory_fd) < 0)
        return error_sys(e, -errno, "fchdir");
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                CLONE_NEWCGROUP) < 0)
        return error_sys(e, -errno, "new namespaces for the unpacker");
    return 0;
}

/* The detached copy of the directory becomes a mount on itself and then the root; the old root goes
 * away below it. */
static int change_root(int *ret_root_fd, struct error *e)
{
    struct mount_attr attributes = {.attr_set =
                                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
    _cleanup_close_ int tree = -EBADF, here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int root_fd;

    if (here < 0)
        return error_sys(e, -errno, "open the directory");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return error_sys(e, -errno, "make mounts private");
    tree =
        (int)syscall(SYS_open_tree, here, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree < 0)
        return error_sys(e, -errno, "open_tree");
    if (syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
        return error_sys(e, -errno, "mount_setattr");
    if (syscall(SYS_move_mount, tree, "", here, "",
                MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return error_sys(e, -errno, "move_mount");
    if (fchdir(tree) < 0)
        return error_sys(e, -errno, "fchdir");
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return error_sys(e, -errno, "pivot_root");
    if (umount2(".", MNT_DETACH) < 0)
        return error_sys(e, -errno, "let the old root go");
    if (chdir("/") < 0)
        return error_sys(e, -errno, "chdir");
    root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return error_sys(e, -errno, "open the new root");
    *ret_root_fd = root_fd;
    return 0;
}

static int set_bounds(struct error *e)
{
    const struct {
        __rlimit_resource_t resource;
        rlim_t value;
    } bounds[] = {
        {RLIMIT_CORE, 0},
#ifndef WITH_SANITIZER
        {RLIMIT_DATA, CONFINED_DATA_MAX},
#endif
    };

    for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
        const struct rlimit limit = {bounds[i].value, bounds[i].value};
        if (setrlimit(bounds[i].resource, &limit) < 0)
            return error_sys(e, -errno, "setrlimit");
    }
    return 0;
}

static int drop_capabilities(struct error *e)
{
    const uint32_t kept = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_FOWNER |
                          1u << CAP_FSETID | 1u << CAP_SETFCAP;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[2] = {{.effective = kept, .permitted = kept}};

    if (syscall(SYS_capset, &header, data) < 0)
        return error_sys(e, -errno, "capset");
    return 0;
}

static const uint32_t allowed[] = {
    __NR_read,
    __NR_write,
    __NR_pwrite64,
    __NR_sync_file_range,
    __NR_close,
    __NR_openat,
    __NR_openat2,
    __NR_newfstatat,
    __NR_fstat,
    __NR_statx,
    __NR_lseek,
    __NR_ftruncate,
    __NR_fcntl,
    __NR_getdents64,
    __NR_mkdirat,
    __NR_mknodat,
    __NR_symlinkat,
    __NR_linkat,
    __NR_unlinkat,
    __NR_fchown,
    __NR_fchownat,
    __NR_fchmod,
    __NR_fchmodat,
    __NR_utimensat,
    __NR_fsetxattr,
    __NR_mmap,
    __NR_munmap,
    __NR_mremap,
    __NR_mprotect,
    __NR_madvise,
    __NR_brk,
    __NR_futex,
    __NR_rseq,
    __NR_set_robust_list,
    __NR_rt_sigprocmask,
    __NR_rt_sigreturn,
    __NR_sched_yield,
    __NR_gettid,
    __NR_getpid,
    __NR_exit,
    __NR_exit_group,
    __NR_restart_syscall,
    __NR_clock_gettime,
#ifdef WITH_SANITIZER
    __NR_sigaltstack,
    __NR_prctl,
    __NR_sched_getaffinity,
    __NR_prlimit64,
    __NR_rt_sigaction,
#endif
};

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "dockless runs on x86-64 and arm64"
#endif

/* New threads, not processes. clone3 hides its flags in memory, so it is not allowed. */
#define THREAD_FLAGS (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)

/* What is not allowed fails with ENOSYS, so that libc takes its older ways. */
static size_t build_filter(struct sock_filter *f)
{
    enum { HEAD = 4, N = ARRAY_SIZE(allowed), TAIL = 6 };
    const struct sock_filter head[HEAD] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    const struct sock_filter tail[TAIL] = {
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clone, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, THREAD_FLAGS),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, THREAD_FLAGS, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    memcpy(f, head, sizeof(head));
    for (size_t i = 0; i < N; i++)
        f[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i],
                                                   (uint8_t)(N - 1 - i + TAIL - 1), 0);
    memcpy(f + HEAD + N, tail, sizeof(tail));
    return HEAD + N + TAIL;
}

static int load_filter(struct error *e)
{
    struct sock_filter filter[ARRAY_SIZE(allowed) + 16];
    const struct sock_fprog program = {(unsigned short)build_filter(filter), filter};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return error_sys(e, -errno, "no_new_privs");
    if (!weakened("cage-filter") && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        return error_sys(e, -errno, "system call filter of the unpacker");
    return 0;
}

int confine_to_directory(int *ret_root_fd, struct error *e)
{
    int r;

    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return error_sys(e, -errno, "become root of the namespace");
    umask(0);
    r = change_root(ret_root_fd, e);
    if (r >= 0)
        r = set_bounds(e);
    if (r >= 0)
        r = drop_capabilities(e);
    return r < 0 ? r : load_filter(e);
}
