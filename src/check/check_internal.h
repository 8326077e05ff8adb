/* What the probes share. */
#pragma once

#include "check/check.h"

/** Appends a result with an empty remedy; FORMAT says what was found. */
struct check_result *check_add(struct check_report *report, const char *name,
                               enum check_state state, const char *why, const char *format, ...)
    _printf_(5, 6);
/** Sets the remedy. */
void check_mend(struct check_result *result, const char *format, ...) _printf_(2, 3);

/** Runs PROBE in a child of its own (it may change namespaces). 0, or the negative errno that it
 * returned; -ECHILD where it died. */
int check_in_child(int (*probe)(void *argument), void *argument);

/** Reads a small file of the kernel; false where there is none. The line end is cut off. */
bool check_read(const char *path, char *text, size_t size);

/* probe_kernel.c */
void check_kernel(struct check_report *report);
void check_namespaces(struct check_report *report);
void check_ids(struct check_report *report);
void check_filter(struct check_report *report);
void check_packet_filter(struct check_report *report);
void check_core(struct check_report *report);
/* probe_cgroup.c */
void check_cgroups(struct check_report *report);
void check_swap(struct check_report *report);
void check_limits(struct check_report *report);
/* probe_files.c */
void check_files(struct check_report *report, const struct check_options *options);
