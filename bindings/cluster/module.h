/* SPDX-License-Identifier: MIT
 *
 * In a worker of a cluster's member: modules that this machine lacks are asked
 * for from the script's. */
#ifndef LFB_CLUSTER_MODULE_H
#define LFB_CLUSTER_MODULE_H

#include "bindings/core/state.h"

/* Adds a searcher to package.searchers, behind the others, if the interpreter
 * is of such a worker. Raises. */
void lfb_module_open(lua_State *L, lfb_state *S);

#endif
