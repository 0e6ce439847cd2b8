/* SPDX-License-Identifier: MIT
 *
 * See coro.h. When a coroutine yields because lfut parks the task, resume
 * yields in turn, and resumes the coroutine again when it is continued. When
 * the task has to end, resume closes the coroutine, and has its own end in
 * turn. */
#include "bindings/run/coro.h"

#include "bindings/run/interrupt.h"
#include "bindings/run/run.h"
#include "bindings/run/standard.h"

static lua_State *check_co(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* What 'run' returns instead of the number of results (moved to L): the caller
 * has to yield; an error value is at the top of L; the task has to end. */
enum { PARK = -2, FAILED = -1, ABORTED = -3 };

/* Has it yielded to park the task? */
static bool is_parking(const lfb_state *S) {
  return S->vm && S->vm->current && S->vm->current->base.parked;
}

/* The task has been told to stop: its coroutine is closed first. */
static int close_aborted(lua_State *L, lfb_state *S, lua_State *co) {
  lfb_close_last(L, S->vm->current, co);
  lua_settop(co, 0);
  return ABORTED;
}

/* 'handling': as lfb_is_handling when the coroutine was resumed. */
static int run(lua_State *L, lfb_state *S, lua_State *co, int nargs,
               bool handling) {
  int n;
  int status = lfb_resume(L, S, co, nargs, &n);
  if (status == LUA_YIELD && is_parking(S))
    return PARK;
  if (lfb_ends_task(S, handling))
    return close_aborted(L, S, co);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return FAILED;
  }
  if (!lua_checkstack(L, n + 1)) {
    lua_pop(co, n);
    lua_pushliteral(L, "too many results to resume");
    return FAILED;
  }
  lua_xmove(co, L, n);
  return n;
}

/* Has it not begun, is it suspended or dead? */
static bool is_at_rest(lua_State *L, lua_State *co) {
  lua_Debug ar;
  return co != L && (lua_status(co) != LUA_OK || !lua_getstack(co, 0, &ar));
}

/* Moves the arguments; false with a message if it cannot be resumed. */
static bool start(lua_State *L, lua_State *co, int nargs) {
  bool fits = lua_checkstack(co, nargs);
  if (lua_status(co) == LUA_OK && !is_at_rest(L, co)) {
    lua_pushliteral(L, "cannot resume non-suspended coroutine");
    return false;
  }
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
    lua_pushliteral(L, "cannot resume dead coroutine");
    return false;
  }
  if (!fits) {
    lua_pushliteral(L, "too many arguments to resume");
    return false;
  }
  lua_xmove(L, co, nargs);
  return true;
}

/* It has been left to park the task, and goes on. */
static int again(lua_State *L, lfb_state *S, lua_State *co, bool handling) {
  return run(L, S, co, lfb_kept_values(co), handling);
}

static int resume_result(lua_State *L, int n) {
  lua_pushboolean(L, n >= 0);
  lua_insert(L, n >= 0 ? -(n + 1) : -2);
  return n >= 0 ? n + 1 : 2;
}

static int resume_k(lua_State *L, int status, lua_KContext ctx);

static int resume_end(lua_State *L, lfb_state *S, int n, bool handling) {
  if (n == PARK)
    return lfb_yield_then(L, handling, resume_k);
  return n == ABORTED ? lfb_abort(L, S, NULL) : resume_result(L, n);
}

static int resume_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lfb_state *S = lfb_state_of(L);
  return resume_end(L, S, again(L, S, lua_tothread(L, 1), ctx), ctx);
}

static int coro_resume(lua_State *L) {
  lua_State *co = check_co(L);
  int nargs = lua_gettop(L) - 1;
  if (!start(L, co, nargs))
    return resume_result(L, FAILED);
  lfb_state *S = lfb_state_of(L);
  bool handling = lfb_is_handling(S);
  return resume_end(L, S, run(L, S, co, nargs, handling), handling);
}

/* An error passes through wrap: the coroutine is closed, and a message gets
 * the position, as Lua's does. */
static int wrap_error(lua_State *L, lua_State *co) {
  int status = lua_status(co);
  if (LFB_HAS_CLOSE && status != LUA_OK && status != LUA_YIELD) {
    lfb_close_co(L, lfb_state_of(L), co);
    lua_pop(L, 1);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static lua_State *wrapped(lua_State *L) {
  return lua_tothread(L, lua_upvalueindex(2));
}

static int wrap_k(lua_State *L, int status, lua_KContext ctx);

static int wrap_end(lua_State *L, lfb_state *S, lua_State *co, int n,
                    bool handling) {
  if (n == PARK) {
    lua_settop(L, 0);
    lua_pushthread(co); /* for the continuation */
    lua_xmove(co, L, 1);
    return lfb_yield_then(L, handling, wrap_k);
  }
  if (n == ABORTED)
    return lfb_abort(L, S, NULL);
  return n >= 0 ? n : wrap_error(L, co);
}

static int wrap_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lfb_state *S = lfb_state_of(L);
  lua_State *co = lua_tothread(L, 1);
  return wrap_end(L, S, co, again(L, S, co, ctx), ctx);
}

static int call_wrapped(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  lua_State *co = wrapped(L);
  int nargs = lua_gettop(L);
  bool handling = lfb_is_handling(S);
  int n = start(L, co, nargs) ? run(L, S, co, nargs, handling) : FAILED;
  return wrap_end(L, S, co, n, handling);
}

static void push_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
}

static int coro_wrap(lua_State *L) {
  lua_pushlightuserdata(L, lfb_state_of(L));
  push_new(L);
  lua_pushcclosure(L, call_wrapped, 2);
  lfb_push_step(L);
  return 1;
}

/* Is this lfut's coroutine, the initializer's, or a forked program's? */
static bool is_outermost(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  return S->vm && S->vm->current ? L == S->vm->current->co : L == S->L;
}

static int coro_yield(lua_State *L) {
  if (is_outermost(L))
    return luaL_error(L, "attempt to yield from outside a coroutine");
  return lua_yield(L, lua_gettop(L));
}

static int coro_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : check_co(L);
  struct lf_vm *vm = lfb_state_of(L)->vm;
  bool outermost = vm && vm->current && co == vm->current->co;
  lua_pushboolean(L, !outermost && lua_isyieldable(co));
  return 1;
}

static int coro_running(lua_State *L) {
  lua_pushthread(L);
  lua_pushboolean(L, is_outermost(L));
  return 2;
}

static int coro_close(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  lua_State *co = check_co(L);
  if (!is_at_rest(L, co)) /* Lua's own tells why not */
    return lua_tocfunction(L, lua_upvalueindex(2))(L);
  bool handling = lfb_is_handling(S);
  int status = lfb_close_co(L, S, co);
  if (lfb_ends_task(S, handling))
    return lfb_abort(L, S, NULL);
  lua_pushboolean(L, status == LUA_OK);
  if (status == LUA_OK)
    return 1;
  lua_xmove(co, L, 1);
  return 2;
}

void lfb_coro_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg functions[] = {{LFB_STEP "resume", coro_resume},
                                       {"wrap", coro_wrap},
                                       {"yield", coro_yield},
                                       {"isyieldable", coro_isyieldable},
                                       {"running", coro_running},
                                       {"close", coro_close}};
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
    lfb_replace(L, S, "coroutine", functions[i].name, functions[i].func);
}
