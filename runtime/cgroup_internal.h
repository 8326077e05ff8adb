/* What the parts of the cgroup room share: cgroup.c (the interface), cgroup_place.c (where we are),
 * cgroup_unified.c and cgroup_hybrid.c (the drivers), cgroup_scope.c (systemd), and sweep.c. */
#pragma once

#include "cgroup.h"

#include "base/buffer.h"

#include <sys/types.h>

/** Every directory we make directly below our own cgroup is called this plus the instance. */
#define CGROUP_PREFIX "dockless-"
/** The leaf on v2 into which the launcher (and an agent above it) moves: the name of the instance's
 * directory plus this. It lies beside that directory, which so holds nothing but sandboxes and can
 * be killed as a whole. */
#define CGROUP_SUPERVISOR "-supervisor"
/** A sandbox's cgroup name; NAME_MAX is 255, ours are numbers with a letter or two. */
#define CGROUP_NAME_MAX 64
/** Control files are small; /proc/self/mountinfo of a host with ten thousand mounts is about 2 MB.
 */
#define CGROUP_FILE_MAX      ((size_t)64 << 10)
#define CGROUP_MOUNTINFO_MAX ((size_t)32 << 20)
/** pids.max takes no more than the kernel has process ids (PID_MAX_LIMIT); more is no limit. */
#define CGROUP_PIDS_MAX (4ULL << 20)
/** Over which a share of CPU time is an average; the kernel's own default. */
#define CGROUP_CPU_PERIOD_USEC 100000
/** The I/O scheduler's weights go only so far. */
#define BFQ_WEIGHT_MAX 1000
/** The v2 tree, v1 memory, pids, cpu, cpuset, blkio. */
#define CGROUP_DIRS_MAX 6
/** Index of the v2 directory; it is always there. */
#define CGROUP_V2 0
/** The hierarchies in which an instance may have a directory, "" being the v2 tree. */
extern const char *const cgroup_hierarchies[CGROUP_DIRS_MAX];

/* cgroup_place.c */

/** Finds the path of this process in TEXT (/proc/self/cgroup) for v1 CONTROLLER, or for v2 where it
 * is "". The caller frees *ret_path. -ENOENT: no such hierarchy; -ENOMEM. */
int cgroup_parse_self(const char *text, const char *controller, char **ret_path);

/** Appends to *LIST the host paths under which cgroup PATH of CONTROLLER ("" for v2) is visible
 * according to TEXT (/proc/self/mountinfo). Mounts that show only another part of the hierarchy are
 * left out (proc(5), the root field). */
int cgroup_parse_mounts(const char *text, const char *controller, const char *path, char ***list);

/** Finds KEY in a flat keyed file ("key value\n"...). -ENOENT, -EINVAL. */
int cgroup_parse_key(const char *text, const char *key, uint64_t *ret);

/** Parses a file of one number and a line end. -EINVAL, -ERANGE. */
int cgroup_parse_value(const char *text, uint64_t *ret);

/** Whether WORD stands in TEXT between spaces, commas or line ends. */
bool cgroup_has_word(const char *text, const char *word);

/** A directory of a cgroup file system. */
struct cgroup_dir {
    int fd;
    char *path;
};
#define CGROUP_DIR_INIT                                                                            \
    {                                                                                              \
        -EBADF, NULL                                                                               \
    }
void cgroup_dir_clear(struct cgroup_dir *d);

/** Opens the cgroup of this process in the hierarchy of CONTROLLER ("" for v2). -ENOENT: the
 * controller is in no hierarchy of that version; -ENODEV: it is, but not mounted here. */
int cgroup_place_find(const char *controller, struct cgroup_dir *ret, struct error *e);

/** Reads the control file NAME below DIR_FD as a string into B (cleared first). */
int cgroup_read(int dir_fd, const char *name, struct buffer *b);

/** Whether the host has swap in use (/proc/swaps). */
int cgroup_host_has_swap(void);

/* cgroup.c */

struct cgroup_driver {
    const char *name;
    /** Fills h->dirs (made below our own cgroup) and whatever else belongs to the host. */
    int (*open)(struct cgroup_host *h, struct error *e);
    /** Before the directories are removed. */
    void (*close)(struct cgroup_host *h);
    /** Bit mask of h->dirs a cgroup with LIMITS needs. */
    unsigned (*needs)(const struct cgroup_host *h, const struct sandbox_limits *limits);
    /** Puts LIMITS in force and opens the out-of-memory watch. */
    int (*limit)(struct cgroup *cg, const struct sandbox_limits *limits, struct error *e);
    bool (*oom_happened)(struct cgroup *cg);
    /** Sets what this driver knows; all that this kernel may not tell is SANDBOX_ABSENT before. */
    void (*usage)(struct cgroup *cg, struct cgroup_usage *u);
};

extern const struct cgroup_driver cgroup_driver_unified;
extern const struct cgroup_driver cgroup_driver_hybrid;

struct cgroup_host {
    const struct cgroup_driver *driver;
    char *name; /* CGROUP_PREFIX instance */
    struct cgroup_dir dirs[CGROUP_DIRS_MAX];
    int parents[CGROUP_DIRS_MAX]; /* what they were made in */
    size_t n_dirs;
    struct cgroup *dying; /* destroyed, but the kernel still held a directory */

    /* unified */
    pid_t client;           /* of ours, too, where it is our parent; 0: none */
    struct cgroup_dir base; /* the cgroup we were found in */
    char *supervisor;       /* the leaf its processes went to, NULL while they did not */
    unsigned enabled;       /* bit N: we gave controller N to base's children */
    unsigned abilities;     /* enum cgroup_ability */

    /* hybrid */
    size_t memory_dir, pids_dir;           /* index into dirs; the same when mounted together */
    size_t cpu_dir, cpuset_dir, blkio_dir; /* CGROUP_DIRS_MAX where there is none */
    bool memsw;                            /* memory.memsw.* is there */
    int oom_fd;                            /* rings when an ancestor's limit is hit */
    uint64_t oom_count;                    /* how often it rang so far */
};

struct cgroup {
    struct cgroup_host *host;
    struct cgroup *next; /* in host->dying */
    char name[CGROUP_NAME_MAX + 1];
    int dirs[CGROUP_DIRS_MAX]; /* -EBADF where not needed or removed */
    int events_fd;
    int cpu_fd;
    int oom_fd;
    uint32_t oom_events;
    int join_fds[CGROUP_JOIN_MAX];
    size_t n_join;
    uint64_t oom_count; /* hybrid: rings so far */
    uint64_t oom_base;  /* hybrid: the host's rings when it was made */
};

/** Makes and opens directory NAME below DIR_FD. */
int cgroup_make_dir(int dir_fd, const char *name, int *ret_fd);

/** Makes h->name below BASE and appends it to h->dirs. */
int cgroup_add_dir(struct cgroup_host *h, const struct cgroup_dir *base, struct error *e);

/** Reads what is in the open control file FD from its start, as a string. */
int cgroup_read_again(int fd, char *text, size_t size);

/* cgroup_usage.c */

/** The number in control file NAME, SANDBOX_ABSENT where there is none. */
uint64_t cgroup_value_of(int dir_fd, const char *name);
/** The number behind KEY in the flat keyed file NAME, SANDBOX_ABSENT where there is none. */
uint64_t cgroup_key_of(int dir_fd, const char *name, const char *key);
/** Sums the numbers behind WORD ("rbytes=", " Read ") over the lines of TEXT, one for each disk. */
uint64_t cgroup_sum_of_disks(const char *text, const char *word);
/** The sums of file NAME into U. */
void cgroup_disks_of(int dir_fd, const char *name, const char *read, const char *written,
                     struct cgroup_usage *u);
/** The totals of a pressure file. A line that is not there leaves its field as it was. -ENOENT:
 * there is none. */
int cgroup_parse_pressure(const char *text, struct sandbox_pressure *ret);

/* cgroup_cpus.c */

/** Puts CPUS and the memory nodes they belong to in force in the cpuset DIR_FD. */
int cgroup_limit_cpus(int dir_fd, const uint64_t cpus[SANDBOX_CPU_WORDS], struct error *e);
/** Gives the new v1 cpuset DIR_FD what its parent has: it has neither CPUs nor memory yet, so that
 * nobody may enter it. */
int cgroup_fill_cpuset(int parent_fd, int dir_fd, struct error *e);
bool cgroup_wants_cpus(const struct sandbox_limits *limits);

/* cgroup.c */

/** Writes a number to a control file. */
int cgroup_write_uint(int dir_fd, const char *name, uint64_t value);

/** Removes cgroup NAME below DIR_FD and the cgroups below it; 0 also when it was not there, -EBUSY
 * while processes are inside. */
int cgroup_remove_tree(int dir_fd, const char *name);

/* cgroup_scope.c */

/** Whether systemd runs this host, as sd_booted(3) tells. */
bool cgroup_scope_can_be_asked(void);

/** Asks systemd for a transient scope with Delegate=yes that holds this process, and waits until it
 * is inside (org.freedesktop.systemd1(5), StartTransientUnit). */
int cgroup_scope_enter(const char *name, struct error *e);
