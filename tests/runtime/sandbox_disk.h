/* Tests that hold for limits on disk whatever they are enforced by: for the harness's host, as it
 * was opened. */
#pragma once

#include "sandbox_harness.h"

/** Whether the host is able to enforce LIMIT (enum launcher_limit). */
bool able(unsigned limit);
/** Fails the test unless a host that is not able to enforce LIMITS says so: virtual machines lack
 * one or the other. */
void check_refused(const struct sandbox_limits *limits, const char *name);

/** Runs COMMAND by a shell, which makes and takes away the file system of a test; its status as of
 * waitpid(2), or -1. */
int run_command(const char *command);

void root_and_scratch_share_the_bytes_of_the_disk(void **state);
void files_beyond_the_inodes_are_refused(void **state);
void room_that_is_freed_can_be_used_again(void **state);
void a_start_that_needs_more_than_the_disk_says_so(void **state);

#define DISK_TESTS                                                                                 \
    cmocka_unit_test(root_and_scratch_share_the_bytes_of_the_disk),                                \
        cmocka_unit_test(files_beyond_the_inodes_are_refused),                                     \
        cmocka_unit_test(room_that_is_freed_can_be_used_again),                                    \
        cmocka_unit_test(a_start_that_needs_more_than_the_disk_says_so)
