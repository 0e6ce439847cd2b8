/* SPDX-License-Identifier: MIT
 *
 * See trial.h. */
#include "bindings/engine/trial.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "bindings/engine/bytecode.h"
#include "bindings/engine/dump.h"
#include "bindings/engine/env.h"
#include "runtime/base/mem.h"

/* It assigns to one upvalue, in a function within; it names globals, fields and
 * a method; it has a gap between lines, which are described in two ways. */
static const char text[] =
    "local number, list = 20, {item = 1}\n"
    "function list:get() return self.item end\n"
    "return function(more)\n"
    "  local function add() number = number + more end\n"
    "  add()\n"
    "  trial_set = number\n"
    "  \n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
    "  local same = list\n"
    "  return trial_get or number + same:get() + same.item + 1.5\n"
    "end\n";

#define RESULT 25.5 /* called with 2 */

/* What the trial has in hand; freed with it by who is called at its end. */
typedef struct {
  lf_buf dump, maker;
  lfb_notes *notes;
  const char *why; /* it is not as it should be */
} trial;

static bool has_name(const lfb_notes *notes, const char *wanted) {
  size_t at = 0;
  lfb_name name;
  while (lfb_next_name(notes, &at, &name))
    if (strcmp(name.text, wanted) == 0)
      return true;
  return false;
}

/* Of the upvalues of the function at 'idx' the one that is assigned to is. */
static bool knows_upvalues(lua_State *L, int idx, const lfb_notes *notes) {
  const char *name;
  unsigned n = 0;
  for (; (name = lua_getupvalue(L, idx, (int)n + 1)); n++) {
    lua_pop(L, 1);
    if (lfb_is_assigned(notes, n) != (strcmp(name, "number") == 0))
      return false;
  }
  return n == notes->upvalues && notes->assigns;
}

static const char *look_at_notes(lua_State *L, int idx, const trial *t) {
  if (!t->notes)
    return "it is not understood";
  if (!has_name(t->notes, "trial_set") || !has_name(t->notes, "trial_get"))
    return "globals are not found in it";
  if (!lfb_has_field(t->notes, "item") || !lfb_has_field(t->notes, "get") ||
      lfb_has_field(t->notes, "trial_get"))
    return "fields are not found in it";
  return knows_upvalues(L, idx, t->notes)
             ? NULL
             : "assignments to upvalues are not found in it";
}

/* Calls a closure that a maker has made of the function at 'idx', with the same
 * values and other globals. */
static const char *look_at_closure(lua_State *L, int idx, trial *t) {
  lua_newtable(L);
  int globals = lua_gettop(L), n = 0;
  if (!lfb_bytecode_maker(&t->maker, t->dump.data, t->dump.len, t->notes) ||
      luaL_loadbufferx(L, (const char *)t->maker.data, t->maker.len, "=trial",
                       "b") != LUA_OK)
    return "no function can be made of it";
  lua_pushvalue(L, globals);
  lfb_env_set(L, -2, LFB_CHUNK_ENV);

  for (; lua_getupvalue(L, idx, n + 1); n++)
    if (lfb_env_is(L)) {
      lua_pushvalue(L, globals);
      lua_replace(L, -2);
    }
  lua_call(L, n, 1);
  lua_pushinteger(L, 2);
  lua_call(L, 1, 1);
  lua_getfield(L, globals, "trial_set");
  return lua_tonumber(L, -2) == RESULT && lua_tonumber(L, -1) == 22
             ? NULL
             : "a function made of it does something else";
}

/* (trial) */
static int try(lua_State *L) {
  trial *t = lua_touserdata(L, 1);
  if (luaL_loadbufferx(L, text, sizeof text - 1, "=trial", "t") != LUA_OK)
    return lua_error(L);
  lua_call(L, 0, 1);
  if (lfb_dump(L, &t->dump, false) != 0)
    return luaL_error(L, LF_NO_MEMORY);
  t->notes = lfb_bytecode_notes(t->dump.data, t->dump.len);
  t->why = look_at_notes(L, 2, t);
  t->why = t->why ? t->why : look_at_closure(L, 2, t);
  return 0;
}

void lfb_trial(lua_State *L) {
  static atomic_bool passed;
  trial t = {0};
  if (atomic_load(&passed))
    return;
  lua_pushcfunction(L, try);
  lua_pushlightuserdata(L, &t);
  errno = 0;
  int status = lua_pcall(L, 1, 0, 0);
  bool no_memory = (status != LUA_OK || t.why) && errno == ENOMEM;
  lf_buf_fini(&t.dump);
  lf_buf_fini(&t.maker);
  lf_free(t.notes);
  if (no_memory || status == LUA_ERRMEM)
    luaL_error(L, LF_NO_MEMORY);
  if (status != LUA_OK)
    t.why = lua_tostring(L, -1);
  if (status != LUA_OK && !t.why)
    t.why = "an error in it";
  if (t.why)
    luaL_error(L,
               "lfut does not know the bytecode of this Lua (made for " LFB_LUA
               "): %s",
               t.why);
  atomic_store(&passed, true);
}
