/* SPDX-License-Identifier: MIT
 *
 * Where plugins lie that are asked for by a bare name. Any thread. */
#ifndef LF_NATIVE_SEARCH_H
#define LF_NATIVE_SEARCH_H

#include "runtime/base/base.h"

/* The file of the plugin 'name' or 'name'.so: in the folders of
 * LFUT_PLUGIN_PATH, with ':' between them, where lfut was built, where its own
 * are installed. False: there is none, or the name is a path. */
bool lf_plugin_find(const char *name, char *path, size_t size);

#endif
