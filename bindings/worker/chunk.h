/* SPDX-License-Identifier: MIT
 *
 * A worker's chunk of a parallel loop: chunks of items (run/items.h), run by
 * the drivers of scripts/drivers.lua. Only the worker's thread calls these. */
#ifndef LFB_WORKER_CHUNK_H
#define LFB_WORKER_CHUNK_H

#include "bindings/run/run.h"

#include "runtime/pool/loop.h"

/* Loads the drivers, unless they are there. */
void lfb_chunk_open(lua_State *L, lfb_state *S);

/* A runner: claims a chunk and runs it; ends the task. */
void lfb_chunk_run(struct lf_vm *vm, lf_task *task);

/* For an InlineExecutor, on the C stack of the caller: claims and runs one
 * chunk of the loop; false if there was none. */
bool lfb_run_chunk(struct lf_vm *vm, lf_loop *loop);

#endif
