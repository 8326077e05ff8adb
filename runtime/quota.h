/* Project quotas: what the files of one directory tree may take of a file system, counted by the
 * file system itself (ext4 with the features "quota" and "project", mounted with prjquota; XFS with
 * pquota). A directory with a project id gives it to whatever is made below it, and the project's
 * limits hold for all of that. Nobody outside the initial user namespace can change an id.
 *
 * Ids are taken from a range that belongs to the sandbox's id range (userns.h), which no other
 * launcher of this host has at the same time. Within it, and against everybody else who uses
 * project ids on the file system, an id is free where it has neither limits nor files. */
#pragma once

#include "base/error.h"

#include <stdint.h>

/** Project ids for each id range of the host: more than sandboxes that share one and those before
 * them whose files are still being removed. */
#define QUOTA_IDS_PER_RANGE 4096U
/** Id ranges that a host can have. */
#define QUOTA_RANGES 32768U
/** Tries in a directory below DIR_FD, which is the launcher's own, whether a limit of a project
 * holds. 0; -EOPNOTSUPP where it does not. IDS is the first of QUOTA_IDS_PER_RANGE. */
int quota_try(int dir_fd, uint32_t ids, struct error *e);

/** Gives the empty directory DIR_FD a free project id of those from IDS on, and the project limits,
 * 0 for none. The directory itself counts. -EOPNOTSUPP where limits are not enforced (any more),
 * -EAGAIN where all ids are in use. */
int quota_attach(int dir_fd, uint32_t ids, uint64_t bytes, uint64_t inodes, uint32_t *ret_id,
                 struct error *e);

/** Takes the limits of project ID away again; it is free when its files are gone, too. DIR_FD is
 * anything on the file system. */
void quota_detach(int dir_fd, uint32_t id);

/** The same for each directory of a dead instance that has an id of its own. */
void quota_sweep(int instance_fd);

/** From now on limits hold for this process, too: on ext4 they do not for the host's root. */
void quota_obey(void);
