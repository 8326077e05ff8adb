/* Private to src/config: YAML as a tree whose nodes know their place, on libyaml(3). One document a
 * file; aliases refer to the node they name, they are not copied, so that a file cannot grow while
 * it is read. */
#pragma once

#include "base/buffer.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Bounds: real files have some hundred nodes in four levels and hardly ever an anchor. */
#define YAML_NODES_MAX   20000
#define YAML_DEPTH_MAX   64
#define YAML_ANCHORS_MAX 100

enum yaml_kind { YAML_SCALAR, YAML_SEQUENCE, YAML_MAPPING };

struct yaml_node {
    enum yaml_kind kind;
    unsigned line, column; /* from 1 */
    char *text;            /* owned; YAML_SCALAR: SIZE bytes and a NUL */
    size_t size;
    bool plain;               /* a scalar without quotes, whose type its text decides */
    struct yaml_node **items; /* elements, or keys and values in turn; not owned */
    size_t n;
    struct yaml_node *next; /* all nodes of the file */
};

struct yaml_file {
    const char *path;       /* for messages, not owned */
    struct yaml_node *root; /* NULL: the file is empty */
    struct yaml_node *nodes;
};

/** Reads TEXT. -EINVAL with "PATH:LINE:COLUMN: what", -ENOMEM. PATH must outlive RET. */
int yaml_load(const char *path, const char *text, size_t size, struct yaml_file *ret,
              struct error *e);
void yaml_clear(struct yaml_file *f);
#define _cleanup_yaml_ _cleanup_(yaml_clear)

/** Sets "PATH:LINE:COLUMN: <formatted>" and returns -EINVAL. */
int yaml_fault(const struct yaml_file *f, const struct yaml_node *node, struct error *e,
               const char *format, ...) _printf_(4, 5);

/** Mappings merged within merged mappings are followed no deeper: one may name itself. */
#define YAML_MERGES_MAX 4

/** Whether KEY is a plain "<<". */
bool yaml_is_merge(const struct yaml_node *key);
/** The mapping that MAP merges ("<<"), NULL where there is none. Lists of mappings to merge are
 * refused by yaml_load(). */
const struct yaml_node *yaml_merged(const struct yaml_node *map);
/** The value of KEY in the mapping MAP (the last one wins) or else in what it merges; NULL where
 * there is none or MAP is no mapping. MAP may be NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);

/** Whether N is a scalar with TEXT. */
bool yaml_is_text(const struct yaml_node *n, const char *text);
/** Whether N is null: nothing, "~" or a plain "null". */
bool yaml_is_null(const struct yaml_node *n);
/** YAML 1.1's plain booleans (yes, no, on, off, true, false): 1, 0, or -1 for anything else. */
int yaml_boolean(const struct yaml_node *n);

/** A copy of a scalar's text. Refuses other kinds and NULs inside. */
int yaml_text(const struct yaml_file *f, const struct yaml_node *n, const char *what, char **ret,
              struct error *e);

/** How many items MAP has, keys and values; none where it is null. Refuses other kinds. */
int yaml_entries(const struct yaml_file *f, const struct yaml_node *map, size_t *ret,
                 struct error *e);
/** The key at INDEX of MAP's items must be a scalar that was not there before. */
int yaml_check_key(const struct yaml_file *f, const struct yaml_node *map, size_t index,
                   struct error *e);
