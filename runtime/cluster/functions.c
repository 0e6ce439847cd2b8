/* SPDX-License-Identifier: MIT
 *
 * See functions.h. */
#include "runtime/cluster/functions.h"

const char *lf_cluster_functions;
size_t lf_cluster_functions_len;

void lf_functions_set(const char *text, size_t len) {
  lf_cluster_functions = text;
  lf_cluster_functions_len = len;
}
