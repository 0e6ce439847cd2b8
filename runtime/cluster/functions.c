/* SPDX-License-Identifier: MIT
 *
 * See functions.h. */
#include "runtime/cluster/functions.h"

#include "cluster.lua.h"

const char *const lf_cluster_functions = lf_script_cluster;
const size_t lf_cluster_functions_len = sizeof lf_script_cluster - 1;
