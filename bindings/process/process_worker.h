/* SPDX-License-Identifier: MIT
 *
 * The interpreters of worker processes: a forked one goes on with the script's
 * own, a spawned one begins anew with what it is told. */
#ifndef LFB_PROCESS_PROCESS_WORKER_H
#define LFB_PROCESS_PROCESS_WORKER_H

#include "bindings/run/run.h"
#include "bindings/worker/setup.h"

/* In a forked worker: makes the image's interpreter one of a worker. Protected:
 * raises on lack of memory. */
void lfb_adopt(lua_State *L, struct lf_vm *vm);

/* The life of a spawned worker, from its command line (serve.h), behind which
 * stands, of a cluster, the client whose tasks it runs; and what opens the
 * module in its interpreter. */
_Noreturn void lfb_spawned_main(char **argv,
                                void (*open)(lua_State *L, lfb_state *S));

#endif
