/* Spec in, verdict out: the plain data that describes one sandbox and what became of it.
 *
 * Nothing here knows of jobs, graders or any protocol. A spec is made by an unprivileged client,
 * encoded by request.c, decoded and validated again by the launcher (see launcher.h) and only then
 * executed.
 *
 * Ownership: every pointer of a spec is owned by it; sandbox_spec_clear() frees them. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds on a spec. The launcher refuses what is beyond them, whoever asks. */
#define SANDBOX_LAYERS_MAX  512  /* docker stops at 127; overlayfs at 500 */
#define SANDBOX_MOUNTS_MAX  64   /* a grader has five */
#define SANDBOX_STRINGS_MAX 4096 /* entries of argv, env each */
#define SANDBOX_TEXT_MAX                                                                           \
    (128 * 1024)                  /* bytes of one argv or env entry: the kernel's MAX_ARG_STRLEN */
#define SANDBOX_PATH_MAX     4096 /* PATH_MAX */
#define SANDBOX_HOSTNAME_MAX 64   /* __NEW_UTS_LEN */
#define SANDBOX_USER_MAX     256
#define SANDBOX_LABEL_MAX    256
#define SANDBOX_GROUPS_MAX   64
#define SANDBOX_DIRS_MAX     8
#define SANDBOX_PORTS_MAX    64 /* a grading image that is logged in to has one */
#define SANDBOX_RLIMITS_MAX  16 /* the kernel's RLIM_NLIMITS */
#define SANDBOX_STEP_MAX     64
#define SANDBOX_ID_RANGE     65536U /* ids 0..65535 of a container */
#define SANDBOX_COPIES_MAX   64
#define SANDBOX_MODE_MAX     07777U
#define SANDBOX_BYTES_MAX    ((uint64_t)1 << 50) /* far beyond any host; sums cannot overflow */
#define SANDBOX_TIME_MAX     ((uint64_t)1 << 50) /* 35 years in microseconds, for the same reason */
#define SANDBOX_PIDS_MAX     ((uint64_t)1 << 22) /* the kernel's PID_MAX_LIMIT */
#define SANDBOX_NOFILE_MAX   ((uint64_t)1 << 30) /* the kernel's bound on fs.nr_open */
#define SANDBOX_CPUS_MAX     1024                /* CPUs that a cpuset can name */
#define SANDBOX_CPU_WORDS    (SANDBOX_CPUS_MAX / 64)
/* Thousandths of a CPU: the kernel gives out no less than a millisecond of each tenth of a second.
 */
#define SANDBOX_CPU_SHARE_MIN 10
#define SANDBOX_CPU_SHARE_MAX ((uint64_t)SANDBOX_CPUS_MAX * 1000)
#define SANDBOX_IO_WEIGHT_MAX 10000 /* io.weight's */
/* The smallest file system that a disk limit can make has a few of each for itself. */
#define SANDBOX_DISK_MIN   ((uint64_t)1 << 20)
#define SANDBOX_DISK_MAX   ((uint64_t)1 << 42)
#define SANDBOX_INODES_MIN 64
#define SANDBOX_INODES_MAX ((uint64_t)1 << 30)

enum sandbox_mount_kind {
    SANDBOX_MOUNT_BIND, /* root/source of the host, a directory or file, idmapped to the sandbox's
                           ids */
    SANDBOX_MOUNT_OVERLAY, /* root/source (idmapped) as lower, changes go to the sandbox's scratch
                            */
    SANDBOX_MOUNT_SCRATCH, /* a new empty directory in the sandbox's scratch, owned by container
                              root */
    SANDBOX_MOUNT_TMPFS,   /* a new tmpfs of `size` bytes, owned by container root */
    SANDBOX_MOUNT_PARENT,  /* `source` below the parent sandbox's mount number `root` (file or
                              directory) */
    SANDBOX_MOUNT_KINDS_,
};

/** A directory that must exist below a mount (made, with this mode, where it is missing). */
struct sandbox_dir {
    char *path; /* relative, no ".." component */
    uint32_t mode;
};

struct sandbox_mount {
    enum sandbox_mount_kind kind;
    uint32_t
        root; /* BIND, OVERLAY: index of a launcher root; PARENT: index into the parent's mounts */
    char *source;  /* BIND, OVERLAY, PARENT: path below it; "" means itself */
    char *target;  /* absolute path inside; missing directories (or the file) are made in the root
                      overlay */
    uint64_t size; /* TMPFS: bytes, 0 means half of the memory limit */
    uint32_t mode; /* permission bits given to the mount's root directory, 0 leaves them */
    bool read_only;
    bool follow_links; /* OVERLAY: links to directories below the root become copies of these */
    bool keep; /* OVERLAY: changes stay, in "upper" below the root number `keep_root`, which must
                  not be a read-only one; "work" beside it is overlayfs' own */
    uint32_t keep_root;
    bool optional; /* BIND, OVERLAY: a missing source counts as an empty directory; PARENT: it is
                      made */
    struct sandbox_dir *dirs; /* OVERLAY, SCRATCH: made inside before anything starts */
    size_t n_dirs;
};

/** A file or a directory with everything below it that is copied into a sandbox before its program
 * starts, or out of it when all of it has ended, whatever ended it. Neither counts towards its
 * limits but that on the disk. The bounds of copytree.h hold for each. */
struct sandbox_copy {
    bool out;
    uint32_t root; /* of the launcher. IN: what is copied; OUT: the directory that it is copied to,
                      which must not be a read-only one */
    char *name;    /* of the copy in the directory it gets into; NULL: not the directory is copied
                      but its content. IN: only where `path` is a directory already; else the
                      copy is what `path` names */
    char *path;    /* absolute, inside. IN: made, with what leads to it, where it is missing */
};

enum sandbox_network {
    SANDBOX_NETWORK_NONE,   /* own network namespace, loopback up */
    SANDBOX_NETWORK_PARENT, /* the parent sandbox's network namespace */
    SANDBOX_NETWORK_NAT,    /* own network namespace, connected to the outside: network.h */
    SANDBOX_NETWORK_KINDS_,
};

/** A TCP port of the host that leads to one of the sandbox. */
struct sandbox_port {
    uint16_t host;      /* not 0, one that the launcher was told it may publish */
    uint16_t container; /* not 0 */
};

/** One of setrlimit(2)'s, UINT64_MAX: unlimited. Above the launcher's own hard limit is an error.
 */
struct sandbox_rlimit {
    uint32_t resource; /* RLIMIT_... */
    uint64_t soft, hard;
};

/** Limits; 0 means none unless said otherwise. */
struct sandbox_limits {
    uint64_t memory_bytes; /* whole sandbox, page cache and tmpfs included; swap is never allowed */
    uint64_t pids;         /* tasks of the whole sandbox */
    uint64_t cpu_time_usec;
    uint64_t wall_time_usec; /* from the moment the program was released */
    uint64_t nofile;         /* RLIMIT_NOFILE soft and hard; 0: the launcher's own hard limit */
    uint64_t shm_bytes;      /* /dev/shm; 0: 64 MiB, as Docker has it */
    uint64_t disk_bytes;     /* what is written to the root and to all mounts on scratch together */
    uint64_t disk_inodes;    /* files, directories, links there */
    uint64_t output_bytes;   /* stdout and stderr together, of all processes; what is beyond it ends
                                the sandbox and is not delivered */
    uint64_t cpu_share;      /* thousandths of a CPU, on average over tenths of a second */
    uint64_t io_weight;      /* 1 to 10000 beside the 100 of others, where disks are contended */
    uint64_t cpus[SANDBOX_CPU_WORDS]; /* CPU N is bit N % 64 of word N / 64; all 0: every CPU.
                                         Memory comes from their NUMA nodes */
};

struct sandbox_spec {
    /* Root file system: an overlay of these directories below launcher root `layers_root`, lowest
     * first; "" is the root itself. */
    uint32_t layers_root;
    char **layers;
    struct sandbox_mount *mounts;
    size_t n_mounts;
    struct sandbox_copy *copies;
    size_t n_copies;

    /* The program. */
    char **argv; /* argv[0] is looked up in env's PATH inside the container unless it has a '/' */
    char **env; /* the whole environment; PATH, HOSTNAME and HOME are added where missing, as Docker
                   does */
    char *cwd;  /* absolute; made where missing; NULL means "/" */
    char *user; /* "", "NAME", "UID", either with ":GROUP" or ":GID", as the OCI image configuration
                   has it */
    uint32_t *groups; /* supplementary ids on top of those of the image's /etc/group */
    size_t n_groups;
    char *hostname;
    char *label; /* what the host's administrator is told that this is, may be NULL; printable */
    bool no_new_privs;
    bool init;     /* the program is not the first process but a child of ours: it takes signals and
                      ends like any other, and orphans are collected */
    bool terminal; /* its 0, 1 and 2 are a new terminal, which controls its session. The stdio that
                      comes with the request is a unix socket as number 0 and nothing else; the
                      terminal's master is sent over it before the program starts */
    uint16_t terminal_rows, terminal_columns;
    bool read_only; /* the root, not the mounts on it */
    uint64_t
        dropped_capabilities; /* of the default ones: bit N is capability N (capabilities(7)) */
    struct sandbox_rlimit *rlimits;
    size_t n_rlimits;

    uint64_t parent; /* id of a running sandbox whose id range is shared, 0: none */
    enum sandbox_network network;
    struct sandbox_port *ports; /* NETWORK_NAT only */
    size_t n_ports;
    struct sandbox_limits limits;
};

/** Frees what SPEC owns and zeroes it. */
void sandbox_spec_clear(struct sandbox_spec *spec);

/** A deep copy; -ENOMEM leaves *RET untouched. */
int sandbox_spec_copy(const struct sandbox_spec *spec, struct sandbox_spec *ret);

/** Appends a zeroed mount of KIND with copies of SOURCE (may be NULL) and TARGET. Returns it (owned
 * by SPEC; moves with the next call) or NULL when there is no memory or SANDBOX_MOUNTS_MAX is
 * reached. */
struct sandbox_mount *sandbox_spec_add_mount(struct sandbox_spec *spec,
                                             enum sandbox_mount_kind kind, uint32_t root,
                                             const char *source, const char *target);

/** Appends a copy with copies of NAME (may be NULL) and PATH; -ENOMEM, -E2BIG. */
int sandbox_spec_add_copy(struct sandbox_spec *spec, bool out, uint32_t root, const char *name,
                          const char *path);

/** Appends a directory to be made below MOUNT; 0, -ENOMEM, -E2BIG. */
int sandbox_mount_add_dir(struct sandbox_mount *mount, const char *path, uint32_t mode);

/** Appends a published port; -ENOMEM, -E2BIG. */
int sandbox_spec_add_port(struct sandbox_spec *spec, uint16_t host, uint16_t container);

/** Appends a resource limit, or replaces that of RESOURCE; -ENOMEM, -E2BIG. */
int sandbox_spec_add_rlimit(struct sandbox_spec *spec, uint32_t resource, uint64_t soft,
                            uint64_t hard);

/** What is wrong with PATH as a path below something ("is not relative", ...), NULL where nothing
 * is. Only one spelling is accepted: no ".", "..", empty component or slash at the end. */
const char *sandbox_relative_fault(const char *path);
/** The same for an absolute path; "/" is one. */
const char *sandbox_absolute_fault(const char *path);

/** Checks everything that can be told without looking at a file system: bounds, absolute targets,
 * no ".." anywhere, known kinds. Both sides call it; the launcher's call is the one that counts.
 * -EINVAL, -E2BIG with a line that names the field. */
int sandbox_spec_validate(const struct sandbox_spec *spec, struct error *e);

enum sandbox_verdict {
    SANDBOX_EXITED,
    SANDBOX_SIGNALLED,
    SANDBOX_CPU_TIMEOUT,
    SANDBOX_WALL_TIMEOUT,
    SANDBOX_OUT_OF_MEMORY,
    SANDBOX_KILLED,       /* by request */
    SANDBOX_OUTPUT_LIMIT, /* wrote more than limits.output_bytes */
    SANDBOX_START_FAILED, /* never ran the program: failed_step and error say why */
    SANDBOX_VERDICTS_,
};

/** "exited", "signalled", "cpu-timeout", "wall-timeout", "out-of-memory", "killed",
 * "output-limit", "start-failed". */
const char *sandbox_verdict_name(enum sandbox_verdict verdict);

#define SANDBOX_ABSENT UINT64_MAX /* this kernel does not tell */

/** Time that processes of a sandbox waited for something that they lacked. */
struct sandbox_pressure {
    uint64_t some_usec; /* at least one of them waited, or SANDBOX_ABSENT */
    uint64_t full_usec; /* all that had something to do waited, or SANDBOX_ABSENT */
};

/** What became of a sandbox. Times in microseconds, sizes in bytes, read after its last process was
 * gone. Every counter is SANDBOX_ABSENT where this kernel (or a sandbox that never ran) has none.
 */
struct sandbox_report {
    enum sandbox_verdict verdict;
    int exit_code;                      /* EXITED */
    int signal;                         /* SIGNALLED: of the container's first process */
    char failed_step[SANDBOX_STEP_MAX]; /* START_FAILED: e.g. "mount /task", "execve" */
    char error[ERROR_TEXT_MAX];
    int error_code; /* START_FAILED: negative errno */
    uint64_t user_usec;
    uint64_t system_usec;
    uint64_t wall_usec;
    uint64_t memory_peak;
    uint64_t pids_peak;
    uint64_t read_bytes; /* from and to block devices, as far as the kernel charges the sandbox */
    uint64_t write_bytes;
    uint64_t voluntary_switches; /* context switches of the first process and of the children that
                                    it and theirs have waited for */
    uint64_t involuntary_switches;
    uint64_t oom_kills;
    uint64_t throttled_periods; /* in which limits.cpu_share was used up */
    uint64_t throttled_usec;
    uint64_t output_bytes; /* delivered to stdout and stderr; only with limits.output_bytes */
    struct sandbox_pressure cpu_pressure, memory_pressure, io_pressure;
    char copy_error[ERROR_TEXT_MAX]; /* why something could not be copied out; "": nothing failed */
    bool called;                     /* it connected to the (first) socket that it was given by a
                                        SANDBOX_MOUNT_PARENT, and its parent holds the connection still */
};

/** Zeroes REPORT and makes all its counters SANDBOX_ABSENT; the times are 0. */
void sandbox_report_init(struct sandbox_report *report);
