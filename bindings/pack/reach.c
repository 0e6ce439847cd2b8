/* SPDX-License-Identifier: MIT
 *
 * See reach.h. */
#include "bindings/pack/reach.h"

const lfb_reach lfb_reach_process = {LFB_REACH_PROCESS, NULL, NULL};
const lfb_reach lfb_reach_anywhere = {LFB_REACH_ANYWHERE, NULL, NULL};

const lfb_reach lfb_reach_cluster = {LFB_REACH_CLUSTER, NULL, NULL};

bool lfb_reach_machine(const lfb_reach *reach, const void *object) {
  (void)object;
  return reach->kind != LFB_REACH_CLUSTER;
}
