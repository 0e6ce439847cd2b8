/* SPDX-License-Identifier: MIT
 *
 * See failure.h. */
#include "bindings/run/failure.h"

#include <string.h>

#include "bindings/pack/pack.h"
#include "bindings/run/interrupt.h"
#include "runtime/base/mem.h"

typedef struct {
  lfb_state *S;
  lua_CFunction f;
  void *arg;
} trial;

/* Protected, as making a closure takes memory. */
static int call_trial(lua_State *L) {
  trial *t = lua_touserdata(L, 1);
  lua_pushlightuserdata(L, t->S);
  lua_pushcclosure(L, t->f, 1);
  lua_pushlightuserdata(L, t->arg);
  lua_call(L, 1, 0);
  return 0;
}

bool lfb_try(struct lf_vm *vm, lua_CFunction f, void *arg) {
  lua_State *L = vm->L;
  trial t = {vm->S, f, arg};
  lua_pushcfunction(L, call_trial);
  lua_pushlightuserdata(L, &t);
  bool ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
  if (!ok)
    lua_pop(L, 1);
  return ok;
}

/* --- Failures --- */

typedef struct {
  lfb_run *run;
  lf_buf *data;
  char *trace;
  int value; /* registry: the error value, then what is sent instead */
} failure;

/* Where the last line of a text begins, with the newline. */
static size_t last_line(const char *text, size_t len) {
  while (len > 0 && text[--len] != '\n')
    continue;
  return len;
}

/* Is the line one of what called the task: a C function, then, of a loop, what
 * has neither name nor lines (worker/chunk.c)? */
static bool is_of_caller(const char *line, size_t len) {
  static const char c[] = "\n\t[C]: in ?", nameless[] = "\n\t?: in function <?";
  return (len == sizeof c - 1 && memcmp(line, c, len) == 0) ||
         (len >= sizeof nameless - 1 &&
          memcmp(line, nameless, sizeof nameless - 1) == 0);
}

static int take_traceback(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  luaL_traceback(L, f->run->co, NULL, 0);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  for (size_t at; (at = last_line(text, len)) > 0; len = at)
    if (!is_of_caller(text + at, len - at))
      break;
  f->trace = lf_strndup(text, len);
  return 0;
}

/* Closes the task's pending variables, as pcall would: an error there takes the
 * place of the first. */
static int take_value(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  f->run->vm->S->copying = false; /* the handlers are the task's own */
  if (lua_status(f->run->co) != LUA_OK)
    lfb_close_last(L, f->run, f->run->co);
  f->run->vm->S->copying = true;
  if (lua_gettop(f->run->co) > 0)
    lua_xmove(f->run->co, L, 1);
  else
    lua_pushliteral(L, "attempt to yield from outside a coroutine");
  lfb_tidy_message(L);
  f->value = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

static int pack_failure(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  if (f->run->abort[0]) /* whatever was made of it on the way up */
    lfb_push_abort(L, f->run);
  else
    lua_rawgeti(L, LUA_REGISTRYINDEX, f->value);
  lfb_pack(L, lfb_self(L), f->data, lua_gettop(L), 1, &lfb_error_value, NULL);
  return 0;
}

/* Its own error takes the place of an error value that cannot travel. */
static int pack_refusal(lua_State *L) {
  failure *f = lua_touserdata(L, 1);
  lf_buf_reset(f->data);
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushcclosure(L, pack_failure, 1);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK)
    return 0;
  lf_buf_reset(f->data);
  lfb_pack(L, lfb_self(L), f->data, lua_gettop(L), 1, &lfb_error_value, NULL);
  return 0;
}

void lfb_put_memory_error(lf_buf *data) {
  static const char text[] = LF_NO_MEMORY;
  unsigned char head[] = {1, LFB_T_SHORT, sizeof text - 1};
  lf_buf_reset(data);
  (void)lf_buf_put(data, head, sizeof head);
  (void)lf_buf_put(data, text, sizeof text - 1);
}

void lfb_pack_failure(lfb_run *r, lf_buf *data, char **trace) {
  failure f = {.run = r, .data = data, .value = LUA_NOREF};
  r->vm->S->copying = true;
  lfb_try(r->vm, take_traceback, &f);
  bool ok =
      lfb_try(r->vm, take_value, &f) &&
      (lfb_try(r->vm, pack_failure, &f) || lfb_try(r->vm, pack_refusal, &f));
  luaL_unref(r->vm->L, LUA_REGISTRYINDEX, f.value);
  if (!ok)
    lfb_put_memory_error(data);
  *trace = f.trace;
  r->vm->S->copying = false;
}
