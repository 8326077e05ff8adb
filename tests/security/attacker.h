/* What the parts of the attacker share. It runs inside sandboxes: static, without our flags. */
#pragma once

/** The first words of a shared secret; whoever reads it has got into another job. */
#define SECRET "the other job's secret"

/* attack_share.c: the names that two jobs may both use. */
int victim(void);
int thief(void);

/* attack_bombs.c: eats up one kind of resource, at most MIB of it. */
int bomb(const char *kind, unsigned long mib);
