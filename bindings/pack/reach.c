/* SPDX-License-Identifier: MIT
 *
 * See reach.h. */
#include "bindings/pack/reach.h"

const lfb_reach lfb_reach_process = {.kind = LFB_REACH_PROCESS};
const lfb_reach lfb_reach_anywhere = {.kind = LFB_REACH_ANYWHERE};

const lfb_reach lfb_reach_cluster = {.kind = LFB_REACH_CLUSTER};

bool lfb_reach_machine(const lfb_reach *reach, const void *object) {
  (void)object;
  return reach->kind != LFB_REACH_CLUSTER;
}
