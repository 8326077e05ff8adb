/* Translations of a task, in the compiled form of gettext: LANGUAGE/LC_MESSAGES/messages.mo in its
 * folder "lang". */
#pragma once

#include "json.h"

/** A catalogue is a task's own texts. */
#define CATALOG_SIZE_MAX ((size_t)16 << 20)
/** "fr_FR" and "fr" for "fr": the folders that are looked into for one language. */
#define CATALOG_FILES_MAX 3

struct catalogs {
    struct pool pool;
    struct text files[CATALOG_FILES_MAX];
    size_t n;
};

/** Reads those for LANGUAGE below ROOT_FD that there are; damaged ones count as none. */
void catalogs_open(int root_fd, const char *language, struct catalogs *ret);
void catalogs_clear(struct catalogs *c);
#define _cleanup_catalogs_ _cleanup_(catalogs_clear)
/** The translation of TEXT, or TEXT. DATA is a struct catalogs. */
struct text catalogs_translate(void *data, struct text text);
