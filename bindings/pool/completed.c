/* SPDX-License-Identifier: MIT
 *
 * See completed.h. Both keep the futures in a set (runtime/task/waitset.h), so
 * that a future costs the same however many there are. */
#include "bindings/pool/completed.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/pool/future.h"
#include "bindings/pool/progress.h"
#include "bindings/run/wait.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/fork.h"

typedef enum { ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION } condition;

static const char *const when_names[] = {"ALL_COMPLETED", "FIRST_COMPLETED",
                                         "FIRST_EXCEPTION", NULL};

/* A future in the set. */
typedef struct member {
  lf_member base;
  int index; /* in the table of futures */
} member;

/* User value 1: the table of futures, each once, in order of addition. User
 * value 2: task (light userdata) -> true. 3: the function that is told. */
enum { FUNCTION = 3 };

typedef struct {
  lf_waitset set;
  lf_waits waits;
  member **members; /* one block each, so that they never move */
  size_t n, cap;
  size_t done;         /* taken */
  bool in_task;        /* its futures are awaited by a task */
  uint32_t generation; /* whose process (fork.h) */
  int64_t deadline;
  condition when;
  lfb_meter meter;
} futures;

static void each_open(lf_waits *waits, lf_visit *visit, void *arg) {
  futures *f = lf_container_of(waits, futures, waits);
  for (size_t i = 0; i < f->n; i++) {
    lf_task *task = f->members[i]->base.waiter.task;
    if (!lf_task_done(task) && !visit(task, arg))
      return;
  }
}

static void forget_all(lua_State *L, futures *f) {
  for (size_t i = 0; i < f->n; i++) {
    if (lf_is_foreign(f->generation) &&
        !lf_task_done(f->members[i]->base.waiter.task))
      continue; /* among others that wait, on stacks that are not here */
    if (f->in_task)
      lf_task_await(f->members[i]->base.waiter.task, -1);
    lf_waitset_forget(&f->members[i]->base);
    lf_free(f->members[i]);
  }
  lf_free(f->members);
  f->members = NULL;
  f->n = f->cap = 0;
  f->done = 0;
  lfb_meter_end(L, &f->meter);
}

static int futures_gc(lua_State *L) {
  forget_all(L, lfb_check(L, 1, LFB_COMPLETED));
  return 0;
}

static futures *push_new(lua_State *L, int64_t deadline, condition when) {
  futures *f = lua_newuserdatauv(L, sizeof *f, FUNCTION);
  memset(f, 0, sizeof *f);
  lf_waitset_init(&f->set);
  f->waits = (lf_waits){.each = each_open, .any = when == FIRST_COMPLETED};
  f->in_task = lfb_self(L)->vm != NULL;
  f->deadline = deadline;
  f->when = when;
  f->generation = lf_generation;
  lfb_set_class(L, LFB_COMPLETED);
  for (int i = 1; i <= 2; i++) {
    lua_newtable(L);
    lua_setiuservalue(L, -2, i);
  }
  return f;
}

static bool make_room(futures *f) {
  if (f->n < f->cap)
    return true;
  size_t cap = f->cap ? 2 * f->cap : 8;
  member **members = lf_realloc(f->members, cap * sizeof *members);
  if (!members)
    return false;
  f->members = members;
  f->cap = cap;
  return true;
}

/* One more, zeroed, or NULL. A task may be waiting for the set: then a search
 * for deadlocks may look at it. */
static member *add_member(futures *f, lf_task *task) {
  bool watched = !lf_list_empty(&f->set.watchers);
  member *m = lf_zalloc(sizeof *m);
  if (watched)
    lf_deadlock_lock();
  if (m && make_room(f)) {
    m->base.waiter.task = task;
    f->members[f->n++] = m;
    m->index = (int)f->n;
  } else {
    lf_free(m);
    m = NULL;
  }
  if (watched)
    lf_deadlock_unlock();
  return m;
}

/* Adds the future at the top (which stays) unless it is there; 'self' is the
 * set's stack index. */
static void add(lua_State *L, futures *f, int self, lf_task *task) {
  lua_getiuservalue(L, self, 2);
  bool known = lua_rawgetp(L, -1, task) != LUA_TNIL;
  lua_pop(L, 1);
  if (!known) {
    lfb_refuse_foreign(L, task);
    lua_pushboolean(L, 1);
    lua_rawsetp(L, -2, task);
    lua_getiuservalue(L, self, 1);
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, (lua_Integer)f->n + 1);
    lua_pop(L, 1);
    member *m = add_member(f, task);
    if (!m)
      lfb_raise_memory(L);
    lf_task_ask(task);
    if (f->in_task)
      lf_task_await(task, 1);
    lf_waitset_add(&f->set, &m->base, task);
  }
  lua_pop(L, 1);
}

/* A future that is the 'at'-th of a list. */
typedef struct {
  uint64_t number;
  lua_Integer at;
} numbered;

static int compare(const void *a, const void *b) {
  uint64_t x = ((const numbered *)a)->number;
  uint64_t y = ((const numbered *)b)->number;
  return x < y ? -1 : x > y;
}

/* Pushes a list of the table's keys, which have to be futures; returns how many
 * there are. */
static lua_Integer push_keys(lua_State *L, int table) {
  lua_Integer n = 0;
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    lf_task **slot = lfb_test(L, lfb_self(L), -2, LFB_FUTURE);
    if (!slot || !*slot)
      lfb_arg_error(L, table,
                    lua_pushfstring(L,
                                    "futures expected in a list or as keys, "
                                    "got a key that is a %s",
                                    luaL_typename(L, -2)));
    lua_pushvalue(L, -2);
    lua_rawseti(L, -4, ++n);
  }
  return n;
}

/* The same in the order in which they were made. */
static void push_sorted_keys(lua_State *L, int table) {
  lua_Integer n = push_keys(L, table);
  int keys = lua_gettop(L);
  numbered *order = lua_newuserdatauv(L, (size_t)n * sizeof *order + 1, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, keys, i + 1);
    order[i] = (numbered){lfb_future_number(lua_touserdata(L, -1)), i + 1};
    lua_pop(L, 1);
  }
  qsort(order, (size_t)n, sizeof *order, compare);
  lua_createtable(L, (int)n, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, keys, order[i].at);
    lua_rawseti(L, -2, i + 1);
  }
  lua_replace(L, keys);
  lua_settop(L, keys);
}

lua_Integer lfb_push_futures(lua_State *L, int from) {
  lua_Integer n = luaL_len(L, from);
  if (n > 0) {
    lua_pushvalue(L, from);
    return n;
  }
  push_sorted_keys(L, from);
  return luaL_len(L, -1);
}

lf_task *lfb_push_listed(lua_State *L, int list, lua_Integer i, int arg) {
  lua_geti(L, list, i);
  lf_task **slot = lfb_test(L, lfb_self(L), -1, LFB_FUTURE);
  if (!slot || !*slot)
    lfb_arg_error(L, arg,
                  lua_pushfstring(L, "future expected at index %I, got %s",
                                  (LUAI_UACINT)i, luaL_typename(L, -1)));
  return *slot;
}

/* Adds the futures of the table at 'from': a list, or its keys. */
static void add_all(lua_State *L, futures *f, int self, int from) {
  lua_Integer n = lfb_push_futures(L, from);
  int list = lua_gettop(L);
  for (lua_Integer i = 1; i <= n; i++) {
    add(L, f, self, lfb_push_listed(L, list, i, from));
    lua_pop(L, 1);
  }
  lua_settop(L, list - 1);
}

/* The next that is done, each once, or NULL. */
static member *take(futures *f) {
  lf_member *m = lf_waitset_take(&f->set);
  if (!m)
    return NULL;
  f->done++;
  return lf_container_of(m, member, base);
}

static bool is_past(lfb_state *S, int64_t deadline) {
  if (!lf_is_past(deadline))
    return false;
  lfb_catch_up(S);
  return true;
}

/* Another has to be done. */
static int await_more(futures *f, lfb_wait_for *what) {
  *what = (lfb_wait_for){
      .set = &f->set, .waits = &f->waits, .deadline = f->deadline};
  return LFB_NOT_YET;
}

/* --- wait
 * ---------------------------------------------------------------------------
 */

/* Takes what is done; true if it is time to return. */
static bool is_enough(futures *f) {
  bool enough = f->n == 0;
  member *m;
  while ((m = take(f))) {
    lf_state state = lf_task_state(m->base.waiter.task);
    enough = enough || f->when == FIRST_COMPLETED ||
             (f->when == FIRST_EXCEPTION && state == LF_FAILED);
  }
  return enough || f->done == f->n;
}

static int push_lists(lua_State *L, futures *f, int self) {
  lua_getiuservalue(L, self, 1);
  int list = lua_gettop(L);
  lua_newtable(L);
  lua_newtable(L);
  lua_Integer n[2] = {0, 0};
  for (size_t i = 0; i < f->n; i++) {
    bool done = lf_task_done(f->members[i]->base.waiter.task);
    lua_rawgeti(L, list, f->members[i]->index);
    lua_rawseti(L, list + (done ? 1 : 2), ++n[!done]);
  }
  return 2;
}

/* The set is at stack index 1. */
static int wait_step(lua_State *L, lfb_state *S, int64_t unused,
                     lfb_wait_for *what) {
  futures *f = lua_touserdata(L, 1);
  (void)unused;
  if (!is_enough(f) && !is_past(S, f->deadline))
    return await_more(f, what);
  is_enough(f); /* with what has come by now */
  lfb_poll(L, S);
  return push_lists(L, f, 1);
}

static condition check_when(lua_State *L, int idx) {
  return (condition)lfb_check_choice(L, idx, "ALL_COMPLETED", when_names);
}

/* Of the options at 2. */
static condition when_option(lua_State *L) {
  condition when = ALL_COMPLETED;
  int type = lua_getfield(L, 2, "return_when");
  const char *name = type == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  while (name && when_names[when] && strcmp(when_names[when], name) != 0)
    when++;
  if (type != LUA_TNIL && !(name && when_names[when]))
    luaL_error(L, "bad option 'return_when' (invalid option '%s')",
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return when;
}

int lfb_wait_futures(lua_State *L) {
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 3);
  int64_t deadline;
  condition when;
  if (lua_istable(L, 2)) {
    static const char *const names[] = {"timeout", "return_when", NULL};
    lfb_check_option_names(L, 2, names);
    deadline = lfb_option_deadline(L, 2, "timeout");
    when = when_option(L);
  } else {
    deadline = lfb_check_deadline(L, 2);
    when = check_when(L, 3);
  }
  futures *f = push_new(L, deadline, when);
  add_all(L, f, 4, 1);
  lua_insert(L, 1);
  lua_settop(L, 1);
  return lfb_waiting(L, lfb_self(L), wait_step, 0);
}

/* --- as_completed --- */

/* What the function has raised ends the iterator, too: nothing is left in the
 * set at 1. */
static void check_told(lua_State *L, futures *f, bool told) {
  if (told)
    return;
  forget_all(L, f);
  lua_error(L);
}

/* The future that is returned is told, but the last one to a function only when
 * another is asked for: till then there may be more to come. */
static void tell(lua_State *L, futures *f) {
  if (f->meter.on && (f->done < f->n || !f->meter.calls))
    check_told(L, f, lfb_meter_tell(L, &f->meter, 1, f->done, true, f->n));
}

static int raise_unfinished(lua_State *L, futures *f) {
  lfb_meter_end(L, &f->meter);
  lfb_push_error(L, "TimeoutError", "%d (of %d) futures unfinished",
                 (int)(f->n - f->done), (int)f->n);
  return lua_error(L);
}

/* it(): the next future that is done, or nil after the last. */
static int next_step(lua_State *L, lfb_state *S, int64_t unused,
                     lfb_wait_for *what) {
  futures *f = lua_touserdata(L, 1);
  member *m = take(f);
  (void)unused;
  if (!m && f->done == f->n) {
    check_told(L, f, lfb_meter_finish(L, &f->meter, 1, f->n));
    lua_pushnil(L);
    return 1;
  }
  if (!m && !is_past(S, f->deadline))
    return await_more(f, what);
  if (!m && !(m = take(f))) /* what has come by now */
    return raise_unfinished(L, f);
  lf_task_settle(m->base.waiter.task);
  lfb_poll(L, S);
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, -1, m->index);
  tell(L, f);
  return 1;
}

static futures *check_completed(lua_State *L) {
  futures *f = lfb_check(L, 1, LFB_COMPLETED);
  if (lf_is_foreign(f->generation))
    luaL_error(L, "iterator belongs to another process");
  return f;
}

static int completed_call(lua_State *L) {
  check_completed(L);
  lua_settop(L, 1);
  return lfb_waiting(L, lfb_self(L), next_step, 0);
}

/* it:add(future) */
static int completed_add(lua_State *L) {
  futures *f = check_completed(L);
  lf_task *task = lfb_check_future(L, 2);
  lua_settop(L, 2);
  add(L, f, 1, task);
  return 0;
}

static int completed_tostring(lua_State *L) {
  futures *f = lfb_check(L, 1, LFB_COMPLETED);
  lua_pushfstring(L, "as_completed(%d of %d done)", (int)f->done, (int)f->n);
  return 1;
}

/* For generic for, which closes it: what is drawn has to go. */
static int push_closed(lua_State *L) {
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

/* it's __close */
static int completed_leave(lua_State *L) {
  futures *f = lfb_check(L, 1, LFB_COMPLETED);
  lfb_meter_end(L, &f->meter);
  return 0;
}

int lfb_as_completed(lua_State *L) {
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  int64_t deadline;
  if (lua_istable(L, 2)) {
    static const char *const names[] = {"timeout", "progress", NULL};
    lfb_check_option_names(L, 2, names);
    deadline = lfb_option_deadline(L, 2, "timeout");
  } else {
    deadline = lfb_check_deadline(L, 2);
  }
  lfb_meter_option(L, 2);
  futures *f = push_new(L, deadline, FIRST_COMPLETED);
  add_all(L, f, 4, 1);
  lua_pushvalue(L, 3);
  lfb_meter_begin(L, &f->meter, 4, FUNCTION, NULL, true, f->n);
  return f->meter.on ? push_closed(L) : 1;
}

void lfb_completed_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"add", completed_add}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{LFB_STEP "__call", completed_call},
                                         {"__gc", futures_gc},
                                         {"__close", completed_leave},
                                         {"__tostring", completed_tostring},
                                         {NULL, NULL}};
  static const lfb_descriptor completed_class = {.class = LFB_COMPLETED,
                                                 .name = "lfut.AsCompleted",
                                                 .methods = methods,
                                                 .metamethods = metamethods};
  lfb_newclass(L, S, &completed_class);
}
