/* SPDX-License-Identifier: MIT
 *
 * See run.h. Each task runs in a coroutine, which is kept for the next when it
 * ends. The arguments are unpacked and the results packed inside it, so that
 * errors there, too, are errors of the task. */
#include "bindings/run/run.h"

#include "bindings/engine/compiler.h"
#include "bindings/pack/addition.h"
#include "bindings/pack/pack.h"
#include "bindings/pack/unpack.h"
#include "bindings/run/debugging.h"
#include "bindings/run/failure.h"
#include "bindings/run/forked.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/output.h"
#include "bindings/run/wait.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/command.h"
#include "runtime/pool/current.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/loop.h"
#include "runtime/pool/ready.h"

enum { KEEP_RUNS = LF_LIMIT(64, 2) }; /* coroutines kept for later tasks */

/* --- Captured globals, while the task waits --- */

/* Stands for nil in the table, whose names have to stay. */
static char unset;

void lfb_exchange_globals(lua_State *L, int ref, bool save) {
  luaL_checkstack(L, 8, "captured globals");
  lfb_state *S = lfb_state_find(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
  int table = lua_gettop(L), value = table + 2, place = table + 3;
  for (lua_pushnil(L); lua_next(L, table); lua_settop(L, table + 1)) {
    lua_pushvalue(L, -2);
    lfb_push_place(L, S);
    if (save) {
      if (lua_rawget(L, place) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushlightuserdata(L, &unset);
      }
      lua_pushvalue(L, table + 1);
      lua_insert(L, -2);
      lua_rawset(L, table);
    } else {
      if (lua_touserdata(L, value) == &unset)
        lua_pushnil(L);
      else
        lua_pushvalue(L, value);
      lua_rawset(L, place);
    }
  }
  lua_pop(L, 1);
}

static int save_globals(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lfb_exchange_globals(L, r->globals, true);
  return 0;
}

static int set_globals(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lfb_exchange_globals(L, r->globals, false);
  return 0;
}

/* --- Runs --- */

static lfb_run *make(struct lf_vm *vm) {
  lfb_run *r = lf_zalloc(sizeof *r);
  if (!r)
    return NULL;
  lf_run_init(&r->base, vm->worker);
  lf_list_init(&r->link);
  lf_list_init(&r->watch.waiter.link);
  r->vm = vm;
  r->co_ref = LUA_NOREF;
  lf_list_add(&vm->all, &r->all);
  return r;
}

static lfb_run *reuse(struct lf_vm *vm) {
  lf_link *l = lf_list_pop(&vm->runs);
  if (l)
    vm->free_runs--;
  return l ? lf_container_of(l, lfb_run, link) : NULL;
}

/* What the meter is to know of a task. */
static void meter_task(lfb_run *r, const lf_task *task) {
  lf_profile_begin(task, &r->times, &r->metered);
  if (r->times.fine)
    r->metered.phase = LF_PHASE_UNPACK;
  else
    r->metered.step = r->metered.flow ? 't' : 0;
}

static bool may_be_metered(void) {
  return lf_metered_now || lf_is_traced();
}

/* Of a chunk the meter is told later. */
static void note_start(lfb_run *r, const lf_task *task) {
  bool call = task && !lf_runner_of(task);
  r->on_meter = may_be_metered() || (call && lf_task_born(task) > 0);
  r->metered.times = NULL;
  r->times.begun = 0;
  r->times.fine = false;
  r->times.sent = call ? task->data.len : 0;
  if (!call)
    r->metered = (lf_metered){.phase = LF_PHASE_RUN};
  else if (r->on_meter)
    meter_task(r, task);
}

/* The meter, or a trace, may have come to be while it stood still. */
static void note_resumed(lfb_run *r) {
  if (r->on_meter || !may_be_metered())
    return;
  r->on_meter = true;
  if (r->task && !lf_runner_of(r->task))
    r->metered = (lf_metered){.code = r->task->code,
                              .name = lf_task_own_name(r->task),
                              .phase = LF_PHASE_RUN};
}

lfb_run *lfb_run_new(struct lf_vm *vm, lf_task *task) {
  lfb_run *r = reuse(vm);
  r = r ? r : make(vm);
  if (!r)
    return NULL;
  r->task = task;
  r->globals = LUA_NOREF;
  r->stage = LFB_RUNNING;
  r->holder.id = 0;
  r->abort[0] = '\0';
  r->reason = LF_GO_ON;
  r->commands = 0;
  r->began = lf_worker_since(vm->worker);
  const lf_limits *limits = task ? lf_task_limits(task) : NULL;
  note_start(r, task);
  r->growth.allowed = 0;
  r->watched = limits && (limits->timeout > 0 || limits->memory > 0);
  if (limits && limits->memory > 0)
    r->growth = lfb_growth_of(limits->memory);
  if (lfb_run_ready(r))
    return r;
  lfb_run_free(r);
  return NULL;
}

/* Protected: gives the run a coroutine if it has none. */
static int ensure_co(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  r->co = lua_newthread(L);
  r->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

bool lfb_run_ready(lfb_run *r) {
  return r->co_ref != LUA_NOREF || lfb_try(r->vm, ensure_co, r);
}

static void drop_co(lfb_run *r) {
  if (r->vm->S->running == r->co)
    r->vm->S->running = r->vm->L; /* for signals */
  luaL_unref(r->vm->L, LUA_REGISTRYINDEX, r->co_ref);
  r->co_ref = LUA_NOREF;
  r->co = NULL;
}

void lfb_run_free(lfb_run *r) {
  struct lf_vm *vm = r->vm;
  if (r->globals != LUA_NOREF)
    luaL_unref(vm->L, LUA_REGISTRYINDEX, r->globals);
  r->task = NULL;
  if (vm->free_runs >= KEEP_RUNS)
    drop_co(r);
  vm->free_runs++;
  lf_list_add(vm->runs.next, &r->link);
}

void lfb_runs_free(struct lf_vm *vm) {
  lf_link *l;
  while ((l = lf_list_pop(&vm->all))) {
    lfb_run *r = lf_container_of(l, lfb_run, all);
    lf_free(r->chunk);
    lf_free(r);
  }
}

/* --- Running --- */

void lfb_run_clean(lfb_run *r, bool ok) {
  lua_sethook(r->co, NULL, 0, 0); /* whoever has set it */
  if (!ok) {
    lfb_closethread(r->co, NULL);
    lua_settop(r->co, 0);
  }
  if (r->abort[0] && r->commands) /* nobody reads what they write */
    lf_commands_interrupt_of(r->commands);
  if (r->abort[0] || (!ok && !LFB_HAS_CLOSE))
    drop_co(r); /* it may have died in a hook: Lua would run no other there */
  lfb_output_flush(r->vm->output);
}

/* A library's lua_yield in the task's outermost coroutine. */
static void refuse_yield(lfb_run *r) {
  lfb_closethread(r->co, NULL);
  lua_settop(r->co, 0);
}

/* Runs the coroutine until it parks (false), or ends and has no more to do. */
static bool step(lfb_run *r, int nargs) {
  int n;
  int status = lua_resume(r->co, NULL, nargs, &n);
  if (lf_is_foreign(r->vm->generation))
    lfb_forked_leave(r->vm, status == LUA_OK,
                     lua_gettop(r->co) ? lua_tostring(r->co, -1) : NULL);
  if (!r->base.parked)
    lfb_take_signal(r->vm->S); /* perhaps no Lua code has run since */
  if (status == LUA_YIELD && r->base.parked) {
    if (r->growth.allowed > 0)
      lfb_memory_park(r);
    lfb_note_parked(r);
    if (!r->metered.times && lf_timing_now())
      lfb_run_note_long(r);
    if (r->globals != LUA_NOREF)
      lfb_try(r->vm, save_globals, r);
    return false;
  }
  if (status == LUA_YIELD && !r->abort[0])
    refuse_yield(r);
  return r->ended(r, status == LUA_OK && !r->abort[0]);
}

static void push_body(lfb_run *r) {
  lfb_debug_task(r->vm, r->co);
  lfb_push_body(r->co, r->vm->S, r->body);
  lua_pushlightuserdata(r->co, r);
}

static void go(lfb_run *r, int nargs) {
  struct lf_vm *vm = r->vm;
  lfb_run *outer = vm->current;
  lfb_state *S = vm->S;
  lua_State *running = S->running;
  bool yielded = S->yields;
  lfb_frame here;
  lfb_memory counted;
  bool counts = r->growth.allowed > 0 || vm->memory.run;
  bool metered = r->on_meter;
  S->running = r->co;
  r->below = outer;
  vm->current = r;
  if (counts)
    lfb_memory_enter(vm, r, &counted);
  lfb_frame_enter(&here, vm, false, NULL);
  S->yields = true;
  lfb_compile(vm->L, &vm->interpreted, !r->watched);
  if (metered)
    lf_meter_enter(&r->metered);
  while (step(r, nargs)) {
    S->running = r->co;
    push_body(r);
    nargs = 1;
  }
  if (metered && lf_metered_now == &r->metered)
    lf_meter_leave(&r->metered);
  lfb_frame_leave(&here);
  vm->current = outer;
  S->running = running;
  S->yields = yielded;
  if (counts)
    lfb_memory_leave(vm, &counted);
  if (outer)
    lfb_compile(vm->L, &vm->interpreted, !outer->watched);
}

/* The task below another that runs on top of it finds its captured globals as
 * it has left them. */
static void leave_globals(struct lf_vm *vm, lfb_run *below) {
  if (below && below->globals != LUA_NOREF)
    lfb_try(vm, save_globals, below);
}

static void return_globals(struct lf_vm *vm, lfb_run *below) {
  if (below && below->globals != LUA_NOREF)
    lfb_try(vm, set_globals, below);
}

void lfb_run_start(lfb_run *r) {
  struct lf_vm *vm = r->vm;
  lfb_run *below = vm->current;
  leave_globals(vm, below);
  push_body(r);
  go(r, 1);
  return_globals(vm, below);
}

void lfb_run_resume(struct lf_vm *vm, lfb_run *r) {
  lf_run *base = &r->base;
  if (!base->parked)
    return;
  lf_run_unpark(base);
  lfb_note_resumed(r);
  note_resumed(r);
  lfb_end_wait(r);
  r->watch.end(&r->watch);
  lfb_run *below = vm->current;
  leave_globals(vm, below);
  if (r->globals != LUA_NOREF)
    lfb_try(vm, set_globals, r);
  go(r, lfb_kept_values(r->co));
  return_globals(vm, below);
}

/* --- Tasks --- */

static inline int pack_results(lua_State *L, lfb_run *r) {
  if (r->times.fine)
    lf_meter_turn(LF_PHASE_PACK, 0);
  lfb_pack(L, r->vm->S, &r->task->data, 1, lua_gettop(L), &lfb_results, NULL);
  return 0;
}

static int task_done(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return pack_results(L, (lfb_run *)ctx);
}

void lfb_run_note_long(lfb_run *r) {
  int64_t since = lf_worker_since(r->vm->worker);
  int64_t ns = lf_now_roughly() - since;
  if (ns < LF_LONG_NS)
    return;
  if (!r->times.begun)
    r->times = (lf_times){.begun = since, .sent = r->times.sent};
  r->times.ns[LF_PHASE_RUN] += ns;
}

/* Its own code is about to run; a trace shows where it comes from. */
static void begin_running(lfb_run *r) {
  if (r->times.fine)
    lf_meter_turn(LF_PHASE_RUN, r->metered.flow ? 't' : 0);
}

/* In the task's coroutine: from arguments to results. */
static int task_body(lua_State *L) {
  lfb_run *r = lua_touserdata(L, 1);
  lf_buf *data = &r->task->data;
  lua_settop(L, 0);
  size_t at = 0;
  int n = lfb_unpack(L, r->vm->S, data, &at, &r->globals);
  if (at < data->len) /* what it comes after has returned that */
    n += lfb_unpack(L, r->vm->S, data, &at, &r->globals);
  if (!lf_task_may_again(r->task) || lf_buf_move(&r->given, data) != 0)
    lf_buf_reset(data);
  if (r->growth.allowed > 0)
    lfb_memory_begin(r);
  begin_running(r);
  return lfb_call_then(L, n - 1, (lua_KContext)r, task_done);
}

/* Is the task, which has been stopped, to be run again? Nobody reads what has
 * come of it then, in either case. */
static bool runs_again(lf_worker *worker, lf_task *t, lf_buf *given) {
  if (given->len == 0 || lf_task_reason(t) == LF_GO_ON)
    return false;
  char *trace = t->trace;
  t->trace = NULL;
  if (lf_buf_move(&t->data, given) == 0 && lf_worker_again(worker, t)) {
    lf_free(trace);
    return true;
  }
  t->trace = trace;
  return false;
}

void lfb_run_leave_meter(lfb_run *r) {
  if (r->on_meter && lf_metered_now == &r->metered)
    lf_meter_leave(&r->metered);
}

static void note_times(lfb_run *r) {
  lfb_run_leave_meter(r);
  if (!r->metered.times && lf_timing_now())
    lfb_run_note_long(r);
  r->times.received = r->task->data.len;
  lf_worker_took(r->vm->worker, &r->times);
}

/* The coroutine is done with, and the task has its outcome. */
static bool finish(lfb_run *r, bool ok) {
  lf_task *t = r->task;
  lf_worker *worker = r->vm->worker;
  note_times(r);
  lf_buf given = r->given;
  r->given = (lf_buf){0};
  lfb_run_clean(r, ok);
  lfb_run_free(r);
  if (!runs_again(worker, t, &given))
    lf_worker_end(worker, t, ok ? LF_FINISHED : LF_FAILED);
  lf_buf_fini(&given);
  return false;
}

static bool task_ended(lfb_run *r, bool ok) {
  lf_task *t = r->task;
  if (!ok) {
    lf_buf_reset(&t->data);
    lfb_pack_failure(r, &t->data, &t->trace);
  }
  return finish(r, ok);
}

/* The run could not be begun for lack of memory. */
static void fail_unstarted(struct lf_vm *vm, lf_task *task) {
  lfb_put_memory_error(&task->data);
  lf_worker_end(vm->worker, task, LF_FAILED);
}

void lfb_run_task(struct lf_vm *vm, lf_task *task) {
  lfb_run *r = lfb_run_new(vm, task);
  if (!r) {
    fail_unstarted(vm, task);
    return;
  }
  r->body = task_body;
  r->ended = task_ended;
  lfb_run_start(r);
}
