/* SPDX-License-Identifier: MIT
 *
 * ClusterExecutor, and the command `lfut cluster`. */
#ifndef LFB_CLUSTER_CLUSTER_H
#define LFB_CLUSTER_CLUSTER_H

#include "bindings/core/state.h"

/* lfut.ClusterExecutor([max_workers | options]) */
int lfb_cluster_executor(lua_State *L);

/* What is the same for all connections of this process. */
void lfb_cluster_init(void);

#endif
