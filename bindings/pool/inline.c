/* SPDX-License-Identifier: MIT
 *
 * See inline.h. */
#include "bindings/pool/inline.h"

#include "bindings/core/error.h"
#include "bindings/run/debugging.h"
#include "bindings/run/wait.h"
#include "bindings/worker/vm.h"

#include "runtime/pool/caller.h"
#include "runtime/pool/current.h"
#include "runtime/pool/limits.h"
#include "runtime/task/strand.h"

int lfb_inline_executor(lua_State *L) {
  static const lfb_kind inline_kind = {.name = "inline",
                                       .backend = &lf_caller_backend};
  return lfb_executor_new(L, &inline_kind);
}

struct lf_vm *lfb_inline_vm(lua_State *L, lfb_executor *exe) {
  if (lf_stack_left() < LFB_STACK)
    luaL_error(L, "C stack overflow (tasks within tasks)");
  if (exe->base)
    exe = exe->base;
  if (exe->vm)
    return exe->vm;
  lf_worker *worker = lf_worker_in_caller(exe->pool);
  lf_buf why;
  lf_buf_init(&why, NULL, 0);
  int err = worker ? lfb_vmops.open(worker, &exe->vm, &why) : LF_ENOMEM;
  if (err == LF_EBROKEN) {
    (void)lf_buf_put(&why, "", 1);
    lf_pool_break(exe->pool, (char *)why.data);
  }
  lf_buf_fini(&why);
  if (err)
    lfb_raise_code(L, err, exe->pool);
  return exe->vm;
}

void lfb_inline_run(lua_State *L, lfb_state *S, lfb_executor *exe,
                    lf_task *task) {
  char path[8];
  struct lf_vm *vm = lfb_inline_vm(L, exe);
  lf_wait_one inner;
  lfb_run *outer = S->vm ? S->vm->current : NULL;
  lf_task *waiting = outer ? outer->task : NULL;
  if (task->strand)
    lfb_enter(L, S, task->strand);
  lf_deadlock_begin(waiting, lf_wait_for_one(&inner, task), path, sizeof path);
  pid_t former = lf_caller_begin(vm->worker);
  lfb_debug_begin(vm, L, S);
  lf_worker_run_here(vm->worker, vm, task);
  lf_caller_end(vm->worker, former);
  lfb_debug_end(vm);
  if (task->strand)
    lf_strand_leave(task->strand);
  lf_deadlock_end(waiting);
}
