/* SPDX-License-Identifier: MIT
 *
 * Errors of what a worker runs: caught, and made into what travels. Only the
 * worker's thread calls these. */
#ifndef LFB_RUN_FAILURE_H
#define LFB_RUN_FAILURE_H

#include "bindings/run/run.h"

/* Protected: calls 'f' in the interpreter's main thread with a pointer. True
 * unless it raised; nothing is left on the stack. */
bool lfb_try(struct lf_vm *vm, lua_CFunction f, void *arg);

/* Resets 'data' to the packed error value "not enough memory"; needs none. */
void lfb_put_memory_error(lf_buf *data);

/* The error value at the top of the run's coroutine, packed into 'data' (empty
 * at first) with its traceback, which the caller owns, in '*trace'. */
void lfb_pack_failure(lfb_run *run, lf_buf *data, char **trace);

#endif
