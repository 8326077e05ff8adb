/* Names of what the kernel numbers. */
#pragma once

/** The number of capability NAME ("net_raw", any case, without "cap_"), -1: there is none. */
int capability_by_name(const char *name);

/** The number of resource limit NAME ("nofile"), -1: there is none. */
int rlimit_by_name(const char *name);
