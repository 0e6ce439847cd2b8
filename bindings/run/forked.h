/* SPDX-License-Identifier: MIT
 *
 * An interpreter in a forked process: what it must forget of the process that
 * it is a copy of, and its end. */
#ifndef LFB_RUN_FORKED_H
#define LFB_RUN_FORKED_H

#include "bindings/core/state.h"

#include "runtime/os/fork.h"

/* In a child of lf_fork, once, before anything else: makes the interpreter a
 * program of its own, whose main thread is 'L'. It has no pools, no processes,
 * no done-callbacks; executors, futures, loops made before are foreign to it,
 * and refuse to be used. Raises on lack of memory. */
void lfb_forked(lua_State *L, lfb_state *S);

/* The same where other code than lfut has forked the process, when that is
 * first seen: global->generation is foreign. */
void lfb_forked_elsewhere(lfb_state *S);

/* In a worker's interpreter, after code of a task has run: if it has forked the
 * process, this one ends here, as the task's worker is not in it. 'message': of
 * an error, or NULL. */
void lfb_forked_leave(struct lf_vm *vm, bool ok, const char *message);

/* The end of such a process: writes out what is left, runs no exit handlers. */
_Noreturn void lfb_forked_exit(lfb_state *S, int status);

#endif
