/* Private to src/config: keys and the fields of a struct that they fill, as tables. A value is
 * text, from the file or from the command line, and both are checked alike. */
#pragma once

#include "config/yaml.h"

#include <stddef.h>

enum setting_type {
    SETTING_TEXT,    /* char *, owned: UTF-8, not empty */
    SETTING_PATH,    /* the same, absolute */
    SETTING_NUMBER,  /* uint64_t from MIN to MAX */
    SETTING_SIZE,    /* the same, with K, M or G behind it */
    SETTING_BOOLEAN, /* int: 0 or 1 */
    SETTING_CHOICE,  /* const char *: one of CHOICES */
};

/** One key and the field it fills. */
struct setting {
    const char *key;
    enum setting_type type;
    size_t offset;
    uint64_t min, max;
    const char *const *choices; /* ends with NULL */
};

/** A table of them. */
struct settings {
    const struct setting *list;
    size_t n;
};

/** Sets KEY of BASE. -ENOENT: unknown, no text; -EINVAL with a text that names the key, not the
 * place; -ENOMEM. */
int settings_set(struct settings known, const char *key, const char *value, void *base,
                 struct error *e);

/** Cuts ASSIGNMENT, NAME=VALUE of a command line, in two: *RET_KEY is the caller's to free,
 * *RET_VALUE points into ASSIGNMENT. -EINVAL where it has no '='. */
int settings_split(const char *assignment, char **ret_key, const char **ret_value, struct error *e);

/** settings_set() for an entry of a mapping; faults name the place, and an unknown KEY is one. */
int settings_read_entry(const struct yaml_file *f, const struct yaml_node *key,
                        const struct yaml_node *value, struct settings known, void *base,
                        struct error *e);
/** Reads all entries of MAP, which may be null. */
int settings_read(const struct yaml_file *f, const struct yaml_node *map, struct settings known,
                  void *base, struct error *e);
