/* SPDX-License-Identifier: MIT
 *
 * See future.h. */
#include "bindings/pool/future.h"

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pack/reach.h"
#include "bindings/pack/unpack.h"
#include "bindings/pool/unasked.h"
#include "bindings/run/callback.h"
#include "bindings/run/wait.h"
#include "runtime/os/clock.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/stop.h"
#include "runtime/task/dependent.h"

/* The userdata. */
typedef struct {
  lf_task *task; /* a reference */
  uint64_t number;
  const void *mark; /* class.h; the last */
} future;

lf_task **lfb_new_future(lua_State *L, lfb_state *S) {
  future *f = lua_newuserdatauv(L, sizeof *f, 0);
  f->task = NULL;
  f->number = ++S->futures;
  lfb_mark(f, sizeof *f, LFB_FUTURE);
  lfb_set_class(L, LFB_FUTURE);
  return &f->task;
}

uint64_t lfb_future_number(lf_task **slot) {
  return lf_container_of(slot, future, task)->number;
}

void lfb_push_future(lua_State *L, lfb_state *S, void *task) {
  *lfb_new_future(L, S) = lf_task_ref(task);
}

lf_task *lfb_check_future(lua_State *L, int idx) {
  lf_task **slot = lfb_check(L, idx, LFB_FUTURE);
  lfb_arg_check(L, *slot, idx, "future without a task");
  return *slot;
}

static int future_gc(lua_State *L) {
  lf_task **slot = lfb_check(L, 1, LFB_FUTURE);
  lf_task *task = *slot;
  *slot = NULL;
  if (!task)
    return 0;
  if (lfb_is_unasked(task))
    lfb_unasked(L, lfb_state_of(L), task);
  lf_task_unref(task);
  return 0;
}

/* --- Waiting for the outcome --- */

static int raise_late(lua_State *L) {
  lfb_push_error(L, "TimeoutError", "the future is not done in time");
  return lua_error(L);
}

bool lfb_await(lua_State *L, lfb_state *S, lf_task *task, int64_t deadline,
               lfb_wait_for *what) {
  lfb_refuse_foreign(L, task);
  if (!lf_task_done(task)) {
    if (!lf_is_past(deadline)) {
      *what = (lfb_wait_for){.task = task, .deadline = deadline};
      return true;
    }
    lfb_catch_up(S);
    if (!lf_task_done(task))
      raise_late(L);
  }
  lf_task_settle(task); /* its done-callbacks are due */
  lfb_poll(L, S);
  return false;
}

/* Pushes the error of a task that was stopped elsewhere, as the program tells.
 */
static void push_told(lua_State *L, lf_task *task) {
  const lf_buf *data = &task->data;
  size_t len = data->len;
  lf_buf bytes = {.data = data->data + (len > 0), .len = len - (len > 0)};
  lfb_box *box = lfb_push_box(L, lf_limits_unref);
  lf_limits *limits = lf_limits_from(&bytes);
  box->content = limits;
  lfb_push_stopped(L, len > 0 ? (lf_reason)data->data[0] : LF_STOP_TIMEOUT,
                   limits, lf_task_label(task));
  lua_remove(L, -2);
}

/* Pushes the error value of a failed task. */
void lfb_push_failure(lua_State *L, lfb_state *S, lf_task *task) {
  task = lf_task_origin(task);
  const lf_buf *data = &task->data;
  size_t at = 0;
  if (lf_task_reason(task) != LF_GO_ON) { /* whatever its data is */
    lfb_push_stopped(L, lf_task_reason(task), lf_task_limits(task),
                     lf_task_label(task));
    return;
  }
  if (task->error == LF_HALTED) {
    push_told(L, task);
    return;
  }
  if (task->error == LF_RAISED) {
    lfb_unpack(L, S, data, &at, NULL);
    return;
  }
  if (task->error == LF_LOST) {
    lfb_push_lost(L, data->data, data->len, lf_task_label(task));
    return;
  }
  lua_pushlstring(L, (const char *)data->data, data->len);
  lfb_push_error(L, lfb_broken_kind(lf_task_pool(task)), "%s",
                 lua_tostring(L, -1));
}

static int raise_cancelled(lua_State *L) {
  lfb_push_stopped(L, LF_STOP_CANCEL, NULL, NULL);
  return lua_error(L);
}

/* Its traceback, or NULL. */
static const char *trace_of(lf_task *task) {
  return lf_task_is_forced(task) ? NULL : task->trace;
}

static uint64_t flow_of(const lf_task *task) {
  int64_t born = lf_task_born(task);
  return born > LF_BORN_QUIETLY ? (uint64_t)born : 0;
}

/* The results of a task that is timed have been unpacked since then. */
static void note_unpacked(const lf_task *task, int64_t since, bool fine) {
  int64_t ns = fine ? lf_now() - since : 0;
  if (fine)
    lf_profile_unpacked(lf_pool_profile(lf_task_pool(task)),
                        lf_task_counted(task), ns);
  if (lf_is_traced())
    lf_trace_slice(since, ns, LF_PHASE_UNPACK, task->code,
                   lf_task_own_name(task), 'f', flow_of(task));
}

/* Pushes the results; returns how many. */
static int push_results(lua_State *L, lfb_state *S, lf_task *task) {
  size_t at = 0;
  int64_t born = lf_task_born(task);
  bool fine = born > 0 && born & 1;
  bool followed = born > LF_BORN_QUIETLY && lf_is_traced();
  if (!task->owner || !(fine || followed))
    return lfb_unpack(L, S, &task->data, &at, NULL);
  int64_t since = lf_now();
  int n = lfb_unpack(L, S, &task->data, &at, NULL);
  note_unpacked(task, since, fine);
  return n;
}

static int result_step(lua_State *L, lfb_state *S, int64_t deadline,
                       lfb_wait_for *what) {
  lf_task *task = *(lf_task **)lua_touserdata(L, 1);
  if (lfb_await(L, S, task, deadline, what))
    return LFB_NOT_YET;
  switch (lf_task_state(task)) {
  case LF_FINISHED:
    return push_results(L, S, task);
  case LF_CANCELLED:
    return raise_cancelled(L);
  default:
    lfb_push_failure(L, S, task);
    return lfb_raise(L, trace_of(task));
  }
}

/* f:result([timeout]) */
int lfb_future_result(lua_State *L) {
  lf_task_ask(lfb_check_future(L, 1));
  return lfb_waiting(L, lfb_self(L), result_step, lfb_check_deadline(L, 2));
}

static int exception_step(lua_State *L, lfb_state *S, int64_t deadline,
                          lfb_wait_for *what) {
  lf_task *task = *(lf_task **)lua_touserdata(L, 1);
  if (lfb_await(L, S, task, deadline, what))
    return LFB_NOT_YET;
  switch (lf_task_state(task)) {
  case LF_FINISHED:
    lua_pushnil(L);
    return 1;
  case LF_CANCELLED:
    return raise_cancelled(L);
  default:
    lfb_push_failure(L, S, task);
    lua_pushboolean(L, 1);
    return 2;
  }
}

/* f:exception([timeout]) */
static int future_exception(lua_State *L) {
  lf_task_ask(lfb_check_future(L, 1));
  return lfb_waiting(L, lfb_self(L), exception_step, lfb_check_deadline(L, 2));
}

/* f:progress(): what the task has reported last, a share and maybe words; nil
 * if it has not. */
static int future_progress(lua_State *L) {
  lf_report report;
  if (!lf_pool_progress(lfb_check_future(L, 1), &report)) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushnumber(L, report.fraction);
  if (report.has_text)
    lua_pushlstring(L, report.text, report.len);
  else
    lua_pushnil(L);
  return 2;
}

/* --- Looking, cancelling --- */

/* f:traceback() */
static int future_traceback(lua_State *L) {
  lf_task *task = lfb_check_future(L, 1);
  lf_task_ask(task);
  if (lf_task_state(task) == LF_FAILED && trace_of(task))
    lua_pushstring(L, trace_of(task));
  else
    lua_pushnil(L);
  return 1;
}

/* f:cancel([running]) */
static int future_cancel(lua_State *L) {
  lf_task *task = lfb_check_future(L, 1);
  lfb_refuse_foreign(L, task);
  bool cancelled = lf_pool_cancel_future(task, lua_toboolean(L, 2));
  lfb_poll(L, lfb_self(L));
  lua_pushboolean(L, cancelled);
  return 1;
}

static int future_cancelled(lua_State *L) {
  lf_task *task = lfb_check_future(L, 1);
  lfb_poll(L, lfb_self(L));
  lua_pushboolean(L, lf_task_state(task) == LF_CANCELLED);
  return 1;
}

/* The state as it is now, wherever the task is. */
static lf_state look(lua_State *L) {
  lf_task *task = lfb_check_future(L, 1);
  return lf_pool_look(task);
}

static int future_running(lua_State *L) {
  lua_pushboolean(L, look(L) == LF_RUNNING);
  return 1;
}

static int future_done(lua_State *L) {
  lf_task *task = lfb_check_future(L, 1);
  lfb_poll(L, lfb_self(L));
  bool done = lf_task_done(task);
  if (done)
    lf_task_settle(task);
  lua_pushboolean(L, done);
  return 1;
}

static const char *const states[] = {"pending", "running", "finished", "failed",
                                     "cancelled"};

static int future_state(lua_State *L) {
  lua_pushstring(L, states[look(L)]);
  return 1;
}

/* Protected, with the future: pushes what tostring shows of the outcome. */
static int push_summary(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lf_task *task = *(lf_task **)lua_touserdata(L, 1);
  if (lf_task_state(task) == LF_FAILED) {
    lfb_push_failure(L, S, task);
    luaL_tolstring(L, -1, NULL);
    return 1;
  }
  size_t at = 0;
  int n = lfb_unpack(L, S, &task->data, &at, NULL);
  if (n == 0)
    return 0;
  lua_pushfstring(L, n > 1 ? "%s, …" : "%s", luaL_typename(L, -n));
  return 1;
}

static int future_tostring(lua_State *L) {
  lf_state state = look(L);
  if (state != LF_FINISHED && state != LF_FAILED) {
    lua_pushfstring(L, "Future(%s)", states[state]);
    return 1;
  }
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushcclosure(L, push_summary, 1);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
    lua_pop(L, 1);
    lua_pushliteral(L, "(error object cannot be shown)");
  }
  if (lua_isnil(L, -1))
    lua_pushfstring(L, "Future(%s)", states[state]);
  else
    lua_pushfstring(L, "Future(%s: %s)", states[state], lua_tostring(L, -1));
  return 1;
}

/* Two handles of one future are equal. */
static int future_eq(lua_State *L) {
  lua_pushboolean(L, lfb_check_future(L, 1) == lfb_check_future(L, 2));
  return 1;
}

static void ref(void *task) {
  lf_task_ask(task); /* whoever gets it may */
  lf_task_ref(task);
}

static bool crosses(const lfb_reach *reach, const void *task) {
  return (reach->kind == LFB_REACH_POOL ||
          (reach->kind == LFB_REACH_CLUSTER && reach->futures)) &&
         lf_pool_can_name(reach->pool, task);
}

void lfb_future_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {
      {LFB_STEP "result", lfb_future_result},
      {LFB_STEP "exception", future_exception},
      {"progress", future_progress},
      {"traceback", future_traceback},
      {"cancel", future_cancel},
      {"cancelled", future_cancelled},
      {"running", future_running},
      {"done", future_done},
      {"state", future_state},
      {"add_done_callback", lfb_add_done_callback},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", future_gc},
                                         {"__eq", future_eq},
                                         {"__tostring", future_tostring},
                                         {NULL, NULL}};
  static const lfb_handle handle = {.ref = ref,
                                    .drop = lf_task_unref,
                                    .push = lfb_push_future,
                                    .crosses = crosses};
  static const lfb_descriptor future_class = {.class = LFB_FUTURE,
                                              .name = "lfut.Future",
                                              .methods = methods,
                                              .metamethods = metamethods,
                                              .handle = &handle};
  lfb_newclass(L, S, &future_class);
}
