/* SPDX-License-Identifier: MIT
 *
 * See combine.h. What all and any have is put together from the packed results
 * of their inputs, which stay theirs (lf_buf_lend). */
#include "bindings/pool/combine.h"

#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pack/pack.h"
#include "bindings/pool/completed.h"
#include "bindings/pool/executor.h"
#include "bindings/pool/future.h"
#include "bindings/pool/inline.h"
#include "bindings/run/failure.h"
#include "bindings/run/poll.h"
#include "bindings/worker/setup.h"
#include "runtime/task/chain.h"

/* --- all, any: any thread --- */

/* The running one has its result, or there was no memory for it. */
static void end(lf_dependent *d, int err) {
  if (err)
    lfb_put_memory_error(&d->task.data);
  lf_task_end(&d->task, err ? LF_FAILED : LF_FINISHED);
}

static int put_u32(lf_buf *out, uint32_t x) {
  return lf_buf_put(out, &x, sizeof x);
}

/* One value: a table of their first ones. */
static int put_list(lf_dependent *d, lf_buf *out) {
  static const unsigned char head[] = {1, LFB_T_LIST};
  int err = lf_buf_put(out, head, sizeof head);
  err = err ? err : put_u32(out, (uint32_t)d->n);
  for (size_t i = 0; i < d->n && err == 0; i++) {
    const lf_buf *from = &d->inputs[i].waiter.task->data;
    uint64_t len = from->len;
    err = lf_buf_put(out, &len, sizeof len);
    err = err ? err : lf_buf_lend(out, from, 0);
  }
  return err;
}

/* One value more than that one has: its number, then those. */
static int put_first(lf_dependent *d, const lf_input *in, lf_buf *out) {
  const lf_buf *from = &in->waiter.task->data;
  int64_t number = in - d->inputs + 1;
  uint32_t n = from->data[0];
  size_t head = 1;
  if (n == 255) {
    memcpy(&n, from->data + 1, sizeof n);
    head += sizeof n;
  }
  unsigned char count = (unsigned char)(n + 1 < 255 ? n + 1 : 255);
  unsigned char tag = LFB_T_INTEGER;
  int err = lf_buf_put(out, &count, 1);
  if (err == 0 && count == 255)
    err = put_u32(out, n + 1);
  err = err ? err : lf_buf_put(out, &tag, 1);
  err = err ? err : lf_buf_put(out, &number, sizeof number);
  return err ? err : lf_buf_lend(out, from, head);
}

static void all_ready(lf_dependent *d, lf_input *in) {
  if (lf_task_state(in->waiter.task) != LF_FINISHED)
    lf_dependent_fail(d, in->waiter.task);
  else if (atomic_fetch_sub(&d->left, 1) == 1 && lf_task_start(&d->task))
    end(d, put_list(d, &d->task.data));
}

static void any_ready(lf_dependent *d, lf_input *in) {
  if (lf_task_state(in->waiter.task) == LF_FINISHED) {
    if (lf_task_start(&d->task))
      end(d, put_first(d, in, &d->task.data));
  } else if (atomic_fetch_sub(&d->left, 1) == 1) {
    lf_dependent_fail(d, in->waiter.task);
  }
}

/* --- all, any: making one --- */

static bool has_threads(const lf_pool *pool) {
  return !lf_pool_is_remote(pool) && !lf_pool_in_caller(pool);
}

/* Who is to run what follows: the executor of all of its inputs, or of the
 * first of which threads are the workers, as these understand whatever the
 * others return; or nobody. */
static lf_owner *choose_executor(const lf_dependent *d) {
  lf_owner *first = NULL, *threads = NULL;
  bool one = true;
  for (size_t i = 0; i < d->n; i++) {
    lf_owner *o = lf_task_executor(d->inputs[i].waiter.task);
    one = one && o && (!first || o == first);
    first = first ? first : o;
    if (!threads && o && has_threads((lf_pool *)o))
      threads = o;
  }
  return one ? first : threads;
}

/* Pushes a future that depends on those of the table at 1. */
static lf_dependent *push_combined(lua_State *L, const lf_dependent_ops *ops,
                                   bool any) {
  lfb_state *S = lfb_self(L);
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lfb_poll(L, S);
  lua_Integer n = lfb_push_futures(L, 1);
  lfb_arg_check(L, n < INT32_MAX, 1, "too many futures");
  lfb_arg_check(L, n > 0 || !any, 1, "at least one future expected");
  lf_task **slot = lfb_new_future(L, S);
  lf_dependent *d = lf_dependent_new(NULL, ops, (size_t)n, any);
  if (!d)
    lfb_raise_memory(L);
  *slot = &d->task;
  for (lua_Integer i = 1; i <= n; i++) {
    lf_task *input = lfb_push_listed(L, 2, i, 1);
    lfb_refuse_foreign(L, input);
    lf_dependent_add(d, input);
    lua_pop(L, 1);
  }
  lf_owner *executor = choose_executor(d);
  d->executor = executor ? lf_owner_ref(executor) : NULL;
  return d;
}

/* What becomes of the inputs is asked for by it. */
static void offer(lf_dependent *d) {
  for (size_t i = 0; i < d->n; i++)
    lf_task_ask(d->inputs[i].waiter.task);
  lf_task_offer(&d->task);
}

static int combine(lua_State *L, const lf_dependent_ops *ops, bool any) {
  lf_dependent *d = push_combined(L, ops, any);
  offer(d);
  if (d->n == 0) {
    lf_task_start(&d->task);
    end(d, put_list(d, &d->task.data));
  } else {
    lf_dependent_begin(d);
  }
  return 1;
}

int lfb_all(lua_State *L) {
  static const lf_dependent_ops ops = {.ready = all_ready};
  return combine(L, &ops, false);
}

int lfb_any(lua_State *L) {
  static const lf_dependent_ops ops = {.ready = any_ready};
  return combine(L, &ops, true);
}

/* --- and_then --- */

/* The caller runs it, with the future at the top, at once. */
static int run_here(lua_State *L, lfb_state *S, lf_pool *pool,
                    lf_dependent *d) {
  if (!lf_task_done(lf_chain_after(d)))
    return luaL_error(L, "the task of an inline executor still runs");
  int future = lua_gettop(L);
  S->descriptors[LFB_EXECUTOR]->handle->push(L, S, pool);
  lfb_executor *exe = lua_touserdata(L, -1);
  if (lf_chain_resolve(d))
    lfb_inline_run(L, S, exe, &d->task);
  lua_settop(L, future);
  return 1;
}

/* Pushes a future for the call of what is at 2 after the task. It may have to
 * wait for long: nothing of what it captures is lent. */
static lf_dependent *push_chain(lua_State *L, lfb_state *S, lf_pool *pool,
                                lf_task *after) {
  lf_task **slot = lfb_new_future(L, S);
  lf_dependent *d = lf_chain_new(lf_pool_owner(pool), after);
  if (!d)
    lfb_raise_memory(L);
  *slot = &d->task;
  lfb_label label = lfb_arguments;
  const lfb_reach *reach = lfb_reach_to(pool);
  label.reach = reach ? reach : &lfb_reach_process;
  lfb_pack(L, S, &d->task.data, 2, 1, &label, &d->task.code);
  if (reach)
    lfb_start_tell(S, pool);
  return d;
}

/* f:and_then(fn) */
static int and_then(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lf_task *task = lfb_check_future(L, 1);
  lfb_check_callable(L, 2);
  lfb_refuse_foreign(L, task);
  lua_settop(L, 2);
  lfb_poll(L, S);
  lf_pool *pool = (lf_pool *)lf_task_executor(task);
  if (!pool)
    return luaL_error(L, "the future has no executor that could run more");
  if (lf_pool_is_foreign(pool))
    return luaL_error(L, "executor belongs to another process");
  lfb_check_accepts(L, pool);
  lf_dependent *d = push_chain(L, S, pool, task);
  bool here = lf_pool_in_caller(pool);
  int err = here ? 0 : lf_pool_follow(pool, d);
  if (err)
    return lfb_raise_code(L, err, pool);
  lf_task_ask(task); /* or it lies with what comes after it */
  lf_task_offer(&d->task);
  return here ? run_here(L, S, pool, d) : 1;
}

void lfb_combine_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"and_then", and_then}, {NULL, NULL}};
  lfb_add_methods(L, S, LFB_FUTURE, methods);
}
