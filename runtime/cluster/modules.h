/* SPDX-License-Identifier: MIT
 *
 * Modules that a member lacks: a worker of it asks the client for them, through
 * the server; the client looks for them on the script's package.path. */
#ifndef LF_CLUSTER_MODULES_H
#define LF_CLUSTER_MODULES_H

#include "runtime/base/base.h"

#include <stddef.h>

/* In a worker process whose LFUT_CLUSTER is the cluster of its member: the text
 * of the client's module of that name, which the caller frees (lf_free), and
 * '*file' the same of its file's name. NULL: the client has none, or does not
 * answer. Blocks, for 30 s at most. Any thread. */
char *lf_module_ask(const char *client, const char *name, size_t *len,
                    char **file);

/* The text of the first file on 'path' (package.path) for a module of that
 * name, and its name, as above; NULL: there is none. */
char *lf_module_find(const char *path, const char *name, size_t *len,
                     char **file);

#endif
