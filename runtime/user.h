/* Who the program runs as: the user string of an image configuration, looked up in the image's own
 * /etc/passwd and /etc/group and nowhere else. */
#pragma once

#include "runtime/sandbox.h"

#include <sys/types.h>

/** Largest /etc/passwd or /etc/group that is read. Real ones have a few KiB; with 1 MiB a directory
 * of 10,000 people fits. */
#define USER_FILE_MAX (1U << 20)
/** Supplementary groups kept: those of the spec, the primary one, and of /etc/group as many as fit.
 */
#define USER_GROUPS_MAX (SANDBOX_GROUPS_MAX + 65)
#define USER_HOME_MAX   1024

struct user {
    uid_t uid;
    gid_t gid;
    gid_t groups[USER_GROUPS_MAX];
    size_t n_groups;
    char home[USER_HOME_MAX]; /* "/" where the image names none */
};

/** Resolves TEXT ("", NAME, UID, either with ":GROUP" or ":GID") with the files' text
 * (NUL-terminated or NULL where the image has no such file). All digits are a number, never looked
 * up as a name (CVE-2024-40635); numbers are 0..65535; neither side of the colon may be empty. As
 * Docker does, groups of /etc/group count only where no group is given, and the primary group is in
 * the list. */
int user_lookup(const char *text, const char *passwd, const char *group, const uint32_t *more,
                size_t n_more, struct user *ret, struct error *e);

/** The same with the files below ROOT_FD, opened so that neither a link out of the root nor a fifo
 * or device in their place does harm. */
int user_lookup_at(int root_fd, const struct sandbox_spec *spec, struct user *ret, struct error *e);
