/* SPDX-License-Identifier: MIT
 *
 * Calls of C functions as tasks: their packed form, and how a worker runs them
 * without its interpreter. The packed call stands where a Lua task has its
 * stream; what comes of it is a stream like any result. */
#ifndef LFB_NATIVE_CALL_H
#define LFB_NATIVE_CALL_H

#include "bindings/run/run.h"

#include "runtime/native/call.h"

/* Converts the 'count' values from 'first' on, as arguments of the function,
 * and appends the call. 'reach' as in lfb_label. Raises. */
void lfb_native_pack(lua_State *L, lfb_state *S, lf_native *native, int first,
                     int count, const struct lfb_reach *reach, lf_buf *out);

/* Appends a stream of what the function has returned. 0 or LF_ENOMEM. */
int lfb_put_result(lf_buf *out, const lf_native *native, const lf_cvalue *v,
                   const lfut_task *task);

/* Appends the entry of the item, counted from 0, whose call has failed; false:
 * no memory. */
bool lfb_put_item_failure(struct lf_vm *vm, lf_native *native,
                          const lfut_task *task, const lf_native_error *error,
                          uint64_t item, lf_buf *out);

/* Does the task call a C function? */
bool lfb_is_native_task(const lf_task *task);

/* Runs it to its end; as ops->run. */
void lfb_native_run(struct lf_vm *vm, lf_task *task);

/* Where tasks of the function go in a pool, and the strand that they pass. */
lf_route lfb_native_route(const lf_native *native);
struct lf_strand *lfb_native_strand(const lf_native *native, lf_pool *pool);

/* Waits to enter a strand (NULL: none), which is to be left then; NULL: there
 * is none, or the wait was interrupted. */
struct lf_strand *lfb_pass(struct lf_vm *vm, struct lf_strand *strand);

#endif
