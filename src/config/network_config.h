/* Settings of an agent's networks and of logins by ssh, from the configuration file or the command
 * line: both give a value as text under the same key. */
#pragma once

#include "config/yaml.h"

#define DEBUG_PORTS_DEFAULT          "64120-64130"
#define ENVIRONMENT_TYPE_DEFAULT     "docker"
#define SSH_ENVIRONMENT_TYPE_DEFAULT "docker-ssh"

struct network_config {
    bool ssh;            /* students may log in: the second type is offered, too */
    char *debug_host;    /* where people log in; NULL: the address that leads to the outside */
    uint16_t first_port; /* of the host, that may be published; 0: none */
    uint16_t last_port;
    char *environment_type; /* default ENVIRONMENT_TYPE_DEFAULT */
    char *ssh_environment_type;
    char *pool4, *pool6; /* as struct launcher_network has them */
    char **allowed, **resolvers;
};

void network_config_clear(struct network_config *n);
/** Fills the defaults in. -ENOMEM. */
int network_config_init(struct network_config *n);
/** A deep copy. On failure RET holds a part of it, to be cleared. -ENOMEM. */
int network_config_copy(const struct network_config *n, struct network_config *ret);

/** Sets KEY to VALUE; "allow" and "resolvers" get one more. -ENOENT: there is no such key; -EINVAL
 * with a text that does not name the place; -ENOMEM. */
int network_config_set(struct network_config *n, const char *key, const char *value,
                       struct error *e);
/** The same for a value of the file's top level, "network" with all below it among them. -EINVAL
 * with "PATH:LINE:COLUMN: what". */
int network_config_read(const struct yaml_file *f, const struct yaml_node *key,
                        const struct yaml_node *value, struct network_config *n, struct error *e);

/** What belongs together: -EINVAL where both types have one name. */
int network_config_check(const struct network_config *n, struct error *e);
bool network_config_equals(const struct network_config *a, const struct network_config *b);
