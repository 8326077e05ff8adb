/* A launcher's host and loop inside a test program, with a small image (static busybox) and a task
 * tree, to start sandboxes and look at them from the host.
 *
 * host_open() takes the process's mount namespace away: whatever a test needs of the host's files
 * it reaches by the fds here. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "host.h"
#include "life.h"

#include <sys/types.h>

/* Indexes of the roots. */
enum { ROOT_STORE, ROOT_TASKS, ROOT_SHARED, ROOTS_ };

struct harness {
    struct loop *event;
    struct host *host;
    int base_fd;   /* the directory all of the following are in */
    int store_fd;  /* root ROOT_STORE (read-only): layer directories "image", "extra" */
    int tasks_fd;  /* root ROOT_TASKS (read-only) */
    int shared_fd; /* root ROOT_SHARED (writable) */
    int host_proc_fd;
    char dir[256];
    uint32_t first_id; /* start of the pool of 16 ranges */
    const struct launcher_network *network;
    enum launcher_disk disk; /* how the host bounds disks */
    uint32_t
        spares; /* of the host; TEST_SPARES in the environment has every sandbox start from one */
};

extern struct harness H;

/** Group fixtures. Setup skips (exit status 77) without root or without busybox. */
int harness_setup(void **state);
int harness_teardown(void **state);
/** The parts of setup, for a test that forks its own launcher: the tree, then (there) the host. */
int harness_make_tree(void);
int harness_open_host(void);
void harness_remove_tree(void);
/** Runs TESTS between the fixtures. */
int harness_main(const char *name, const struct CMUnitTest *tests, size_t n);

/** Under TEST_SPARES: waits until there is one. What it holds is counted from then on. */
void spare_wait(void);

/** One run of a sandbox. */
struct run {
    struct sandbox_spec spec;
    struct sandbox *parent;
    struct sandbox *sandbox;
    struct sandbox_report report;
    bool over;
    struct buffer out; /* stdout and stderr together */
    int out_fd;        /* the read end */
    int in_fd;         /* the write end of stdin, or negative */
};

/** A spec of the image that runs `sh -c SCRIPT`. */
void run_init(struct run *r, const char *script);
/** Replaces argv by the NULL-terminated list. */
void run_set_argv(struct run *r, const char *const *argv);
/** Starts it; the loop is not run. */
void run_start(struct run *r);
/** The same with nothing given as 0, 1, 2. */
void run_start_without_stdio(struct run *r);
/** Runs the loop until R is over and its output read. */
void run_wait(struct run *r);
/** Runs the loop until the output contains TEXT. */
void run_until(struct run *r, const char *text);
void run_clear(struct run *r);
/** The first process's id on the host. */
pid_t run_host_pid(const struct run *r);
/** The newest child of this process that is the first of a pid namespace, a sandbox's or a spare.
 */
pid_t newest_first_process(void);

/** run_init, start, wait: fails the test unless the program exits with STATUS. The output without
 * the last newline is returned, owned by R. */
const char *run_output(struct run *r, int status);
/** run_init + run_output + comparison + run_clear for the simple case. */
void check_script(const char *script, int status, const char *output);

/** Writes a file of the host below DIR_FD, parents not made. */
void put_file(int dir_fd, const char *path, const char *text, unsigned mode);
/** Content of a small file as a string owned by B, NULL where there is none. */
const char *get_file(int dir_fd, const char *path, struct buffer *b);

/** Entries of directory PATH below DIR_FD ("." and ".." not counted), negative errno. */
int count_entries(int dir_fd, const char *path);
/** Processes of the host whose user id is one of N from FIRST on. */
int count_processes_of(uint32_t first, uint32_t n);
uint64_t scaled_usec(uint64_t usec);
