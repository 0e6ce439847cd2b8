/* SPDX-License-Identifier: MIT
 *
 * A worker's interpreter as the runtime calls it: what it does with tasks, with
 * chunks, with C functions; its beginning and its end. */
#ifndef LFB_WORKER_VM_H
#define LFB_WORKER_VM_H

#include "runtime/task/vm.h"

extern const lf_vmops lfb_vmops;

#endif
