/* SPDX-License-Identifier: MIT
 *
 * See coro.h. When a coroutine yields because lfut parks the task, resume
 * yields in turn, and resumes the coroutine again when it is continued. */
#include "coro.h"

#include "luavm.h"
#include "names.h"

static lua_State *check_co(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* Resumes with the coroutine registered as the one that runs, for waits and
 * signals. */
static int enter(lua_State *L, struct lf_vm *vm, lua_State *co, int nargs,
                 int *nresults) {
  if (!vm) /* the interpreter has been forked */
    return lua_resume(co, L, nargs, nresults);
  lua_State *outer = vm->running;
  bool yielded = vm->yields;
  vm->running = co;
  vm->yields = yielded && lua_isyieldable(L);
  int status = lua_resume(co, L, nargs, nresults);
  vm->running = outer;
  vm->yields = yielded;
  return status;
}

/* Has the coroutine yielded for lfut's sake: to park the task, or to end it? */
static bool is_parking(struct lf_vm *vm) {
  return vm && vm->current && (vm->current->waiting || vm->current->doom[0]);
}

/* What 'run' returns instead of the number of results (moved to L): the caller
 * has to yield; an error value is at the top of L. */
enum { PARK = -2, FAILED = -1 };

static int run(lua_State *L, struct lf_vm *vm, lua_State *co, int nargs) {
  int n;
  int status = enter(L, vm, co, nargs, &n);
  if (status == LUA_YIELD && is_parking(vm))
    return PARK;
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    if (vm)
      lfb_doom_again(L, vm);
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

/* Moves the arguments; false with a message if it cannot be resumed. */
static bool start(lua_State *L, lua_State *co, int nargs) {
  bool fits = lua_checkstack(co, nargs);
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

static int resume_result(lua_State *L, int n) {
  lua_pushboolean(L, n >= 0);
  lua_insert(L, n >= 0 ? -(n + 1) : -2);
  return n >= 0 ? n + 1 : 2;
}

static int resume_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  int n = run(L, lfb_self(L)->vm, lua_tothread(L, 1), 0);
  if (n == PARK)
    return lua_yieldk(L, 0, 0, resume_k);
  return resume_result(L, n);
}

static int coro_resume(lua_State *L) {
  lua_State *co = check_co(L);
  int nargs = lua_gettop(L) - 1;
  if (!start(L, co, nargs))
    return resume_result(L, FAILED);
  int n = run(L, lfb_self(L)->vm, co, nargs);
  if (n == PARK)
    return lua_yieldk(L, 0, 0, resume_k);
  return resume_result(L, n);
}

/* An error passes through wrap: the coroutine is closed, and a message gets
 * the position, as Lua's does. */
static int wrap_error(lua_State *L, lua_State *co) {
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    lfb_closethread(co, L);
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

static int wrap_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  lua_State *co = wrapped(L);
  int n = run(L, lfb_self(L)->vm, co, 0);
  if (n == PARK)
    return lua_yieldk(L, 0, 0, wrap_k);
  return n >= 0 ? n : wrap_error(L, co);
}

static int call_wrapped(lua_State *L) {
  lua_State *co = wrapped(L);
  int nargs = lua_gettop(L);
  int n = start(L, co, nargs) ? run(L, lfb_self(L)->vm, co, nargs) : FAILED;
  if (n == PARK)
    return lua_yieldk(L, 0, 0, wrap_k);
  return n >= 0 ? n : wrap_error(L, co);
}

static void push_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
}

static int coro_wrap(lua_State *L) {
  lua_pushlightuserdata(L, lfb_self(L));
  push_new(L);
  lua_pushcclosure(L, call_wrapped, 2);
  return 1;
}

/* Is this lfut's coroutine, the initializer's, or a forked program's? */
static bool is_outermost(lua_State *L) {
  lfb_state *S = lfb_self(L);
  return S->vm && S->vm->current ? L == S->vm->current->co : L == S->L;
}

static int coro_yield(lua_State *L) {
  if (is_outermost(L))
    return luaL_error(L, "attempt to yield from outside a coroutine");
  return lua_yield(L, lua_gettop(L));
}

static int coro_isyieldable(lua_State *L) {
  lua_State *co = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  struct lf_vm *vm = lfb_self(L)->vm;
  bool outermost = vm && vm->current && co == vm->current->co;
  lua_pushboolean(L, !outermost && lua_isyieldable(co));
  return 1;
}

static int coro_running(lua_State *L) {
  lua_pushthread(L);
  lua_pushboolean(L, is_outermost(L));
  return 2;
}

void lfb_coro_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg functions[] = {
      {"resume", coro_resume},   {"wrap", coro_wrap},
      {"yield", coro_yield},     {"isyieldable", coro_isyieldable},
      {"running", coro_running}, {NULL, NULL}};
  lfb_push_standard(L, "coroutine");
  lfb_setfuncs(L, S, functions);
  lua_pop(L, 1);
}
