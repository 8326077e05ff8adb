/* Two network namespaces: the test process's own, which plays the host, and another one connected
 * to it, which plays the rest of the world. Nothing of the machine's own network is touched.
 *
 *   host  203.0.113.1, 2001:db8:1::1 -- 203.0.113.2, 2001:db8:1::2  world
 *
 * The world also has one address of each kind that there are rules for. Its servers: TCP ports
 * 7000 and 53 tell who is asking, TCP port 7003 how many datagrams came to UDP port 7002 so far.
 * The host has a server like the one at 7000 at 7001. */
#pragma once

#include "sandbox_harness.h"

#define HOST4  "203.0.113.1"
#define HOST6  "2001:db8:1::1"
#define WORLD4 "198.51.100.7"
#define WORLD6 "2001:db8:2::7"

#define PORT_DNS   53
#define PORT_WHO   7000
#define PORT_HOST  7001
#define PORT_DROP  7002
#define PORT_COUNT 7003

/** Makes both; BRIDGE_FILTER: the host's packet filter also sees what is only bridged
 * (br_netfilter; exits with 77 where the kernel has it not). Exits with 77 where the machine
 * cannot. Before the host is opened: afterwards no program of the machine can be reached. The world
 * ends with the process. */
void world_make(bool bridge_filter);

/** Connects to HOST:PORT from the world, or from the host itself, and reads what comes into TEXT
 * (SIZE bytes). 0, or the negative errno of connect(2); -ETIMEDOUT after a second of silence. */
int fetch_from_world(const char *host, int port, char *text, size_t size);
int fetch_from_host(const char *host, int port, char *text, size_t size);

/** Runs a command of the machine in the host's namespace, or the world's; fails the test where it
 * fails. */
void world_command(bool in_world, const char *command);

/** Links of the host whose name starts with PREFIX. */
int count_links(const char *prefix);
/** nf_tables tables of the host. */
int count_tables(void);
/** Waits until count_links(PREFIX) is N: the kernel takes links of ended namespaces away later. */
void expect_links(const char *prefix, int n);
