/* SPDX-License-Identifier: MIT
 *
 * See source.h. Ranges and zips are tables, so that they travel. */
#include "bindings/pool/source.h"

#include <math.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/pack/names.h"
#include "bindings/pool/text.h"
#include "bindings/run/run.h"
#include "bindings/sync/array.h"
#include "bindings/sync/queue.h"
#include "bindings/sync/shared.h"

#define RANGE "lfut.Range"
#define ZIP "lfut.Zip"

static bool is_table_of(lua_State *L, int idx, const char *name) {
  return lua_istable(L, idx) && lfb_has_metatable(L, idx, name);
}

/* --- Ranges --- */

/* As Lua's numeric for counts (lvm.c, forprep). */
static uint64_t count_integers(lua_Integer first, lua_Integer last,
                               lua_Integer step) {
  if (step > 0 ? first > last : first < last)
    return 0;
  uint64_t span = step > 0 ? (uint64_t)last - (uint64_t)first
                           : (uint64_t)first - (uint64_t)last;
  uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
  uint64_t n = span / by;
  return n < UINT64_MAX ? n + 1 : n;
}

static uint64_t count_floats(lua_State *L, lua_Number first, lua_Number last,
                             lua_Number step) {
  lua_Number n = floor((last - first) / step) + 1;
  if (isnan(n) || n >= 9e15)
    luaL_error(L, "range is endless");
  return n > 0 ? (uint64_t)n : 0;
}

static void set_integer(lua_State *L, const char *field, lua_Integer i) {
  lua_pushinteger(L, i);
  lua_setfield(L, -2, field);
}

/* Leaves first, last and step at 1, 2, 3, as numbers. */
static void check_range(lua_State *L) {
  if (lua_isnoneornil(L, 2)) { /* range(n) */
    lfb_check_number(L, 1);
    lua_settop(L, 1);
    lua_pushinteger(L, 1);
    lua_insert(L, 1);
  }
  lua_settop(L, 3);
  if (lua_isnil(L, 3)) {
    lua_pushinteger(L, 1);
    lua_replace(L, 3);
  }
  for (int i = 1; i <= 3; i++) {
    lua_Number n = lfb_check_number(L, i);
    if (lua_type(L, i) == LUA_TNUMBER)
      continue;
    lua_pushnumber(L, n); /* it was a string */
    lua_replace(L, i);
  }
  lfb_arg_check(L, lua_tonumber(L, 3) != 0, 3, "step is zero");
}

/* The limit at 2 of a range of integers; a float is rounded towards it. */
static lua_Integer integer_limit(lua_State *L) {
  if (lua_isinteger(L, 2))
    return lua_tointeger(L, 2);
  int exact;
  lua_Number l = lua_tonumber(L, 2);
  l = lua_tointeger(L, 3) > 0 ? floor(l) : ceil(l);
  lua_pushnumber(L, l);
  lua_Integer last = lua_tointegerx(L, -1, &exact);
  lua_pop(L, 1);
  if (exact)
    return last;
  return l > 0 ? LUA_MAXINTEGER : LUA_MININTEGER;
}

int lfb_range(lua_State *L) {
  uint64_t n;
  check_range(L);
  bool integers = lua_isinteger(L, 1) && lua_isinteger(L, 3);
  if (integers)
    n = count_integers(lua_tointeger(L, 1), integer_limit(L),
                       lua_tointeger(L, 3));
  else
    n = count_floats(L, lua_tonumber(L, 1), lua_tonumber(L, 2),
                     lua_tonumber(L, 3));
  lua_createtable(L, 0, 3);
  if (integers)
    lua_pushvalue(L, 1);
  else
    lua_pushnumber(L, lua_tonumber(L, 1));
  lua_setfield(L, -2, "first");
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, "step");
  set_integer(L, "n", (lua_Integer)n);
  luaL_setmetatable(L, RANGE);
  return 1;
}

/* Pushes a field of a range, which has to be a number. */
static void push_number(lua_State *L, int idx, const char *field) {
  lua_pushstring(L, field);
  lua_rawget(L, idx);
  if (lua_type(L, -1) != LUA_TNUMBER)
    luaL_error(L, "bad range (its field '%s' is no number)", field);
}

/* How many items a range with the first at -3 and the step at -2 can have. */
static uint64_t most_items(lua_State *L) {
  if (!lua_isinteger(L, -3) || !lua_isinteger(L, -2))
    return (uint64_t)9e15;
  bool up = lua_tointeger(L, -2) > 0;
  return count_integers(lua_tointeger(L, -3),
                        up ? LUA_MAXINTEGER : LUA_MININTEGER,
                        lua_tointeger(L, -2));
}

/* Pushes the fields first, step and n of the range, which a script may have
 * changed. */
static void push_fields(lua_State *L, int idx) {
  push_number(L, idx, "first");
  push_number(L, idx, "step");
  push_number(L, idx, "n");
  lua_Number step = lua_tonumber(L, -2);
  if (step == 0 || isnan(step))
    luaL_error(L, "bad range (its step is zero)");
  if (!lua_isinteger(L, -1) || (uint64_t)lua_tointeger(L, -1) > most_items(L))
    luaL_error(L, "bad range (its field 'n' is no number of items)");
}

static void open_range(lua_State *L, int idx, lfb_source *s) {
  push_fields(L, idx);
  s->kind = LFB_RANGE;
  s->known = true;
  s->floats = !lua_isinteger(L, -3) || !lua_isinteger(L, -2);
  s->first = lua_tointeger(L, -3);
  s->step = lua_tointeger(L, -2);
  s->ffirst = lua_tonumber(L, -3);
  s->fstep = lua_tonumber(L, -2);
  s->total = (uint64_t)lua_tointeger(L, -1);
  lua_pop(L, 3);
  lua_pushvalue(L, idx);
}

static void push_range_item(lua_State *L, const lfb_source *s, uint64_t i) {
  if (s->floats)
    lua_pushnumber(L, s->ffirst + (lua_Number)i * s->fstep);
  else
    lua_pushinteger(L,
                    (lua_Integer)((uint64_t)s->first + i * (uint64_t)s->step));
}

static int range_len(lua_State *L) {
  lfb_arg_check(L, is_table_of(L, 1, RANGE), 1, "range expected");
  push_fields(L, 1);
  return 1;
}

/* How many items come before the one behind the value at 'idx'. */
static uint64_t range_position(lua_State *L, const lfb_source *s, int idx) {
  if (s->floats) {
    lua_Number done = (lfb_check_number(L, idx) - s->ffirst) / s->fstep;
    return done > -1 && done < 9e15 ? (uint64_t)llround(done) + 1 : UINT64_MAX;
  }
  uint64_t last = (uint64_t)lfb_check_integer(L, idx);
  uint64_t first = (uint64_t)s->first, step = (uint64_t)s->step;
  return (s->step > 0 ? (last - first) / step : (first - last) / (0 - step)) +
         1;
}

/* for i in lfut.range(...) do */
static int range_call(lua_State *L) {
  lfb_source s = {0};
  lfb_arg_check(L, is_table_of(L, 1, RANGE), 1, "range expected");
  open_range(L, 1, &s);
  uint64_t i = lua_isnoneornil(L, 3) ? 0 : range_position(L, &s, 3);
  if (i >= s.total)
    lua_pushnil(L);
  else
    push_range_item(L, &s, i);
  return 1;
}

static int range_tostring(lua_State *L) {
  lfb_arg_check(L, is_table_of(L, 1, RANGE), 1, "range expected");
  lua_getfield(L, 1, "first");
  lua_getfield(L, 1, "step");
  lua_getfield(L, 1, "n");
  lua_pushfstring(L, "range(first %s, step %s, %s items)",
                  luaL_tolstring(L, 2, NULL), luaL_tolstring(L, 3, NULL),
                  luaL_tolstring(L, 4, NULL));
  return 1;
}

/* --- Zips
 * ---------------------------------------------------------------------------
 */

static bool is_callable(lua_State *L, int idx) {
  if (lua_isfunction(L, idx))
    return true;
  if (luaL_getmetafield(L, idx, "__call") == LUA_TNIL)
    return false;
  lua_pop(L, 1);
  return true;
}

/* Has the table keys, but no list in it? */
static bool is_no_list(lua_State *L, int idx) {
  if (lua_rawlen(L, idx) > 0 || luaL_getmetafield(L, idx, "__len") != LUA_TNIL)
    return false;
  lua_pushliteral(L, "n");
  bool counted = lua_rawget(L, idx) == LUA_TNUMBER;
  lua_pop(L, 1);
  lua_pushnil(L);
  return !counted && lua_next(L, idx);
}

void lfb_check_source(lua_State *L, int idx) {
  int top = lua_gettop(L);
  if (lua_istable(L, idx) && !is_callable(L, idx) && is_no_list(L, idx))
    lfb_arg_error(L, idx,
                  "table has keys, but no list of items; make a list of them");
  if (lua_isfunction(L, idx)) {
    lua_pushvalue(L, idx);
    if (lfb_is_standard(L, "next"))
      lfb_arg_error(L, idx,
                    "what pairs returns is no list of items; make a list, or "
                    "a function that returns one item after the other");
  }
  lua_settop(L, top);
}

int lfb_zip(lua_State *L) {
  int n = lua_gettop(L);
  lfb_arg_check(L, n > 0, 1, "items expected");
  for (int i = 1; i <= n; i++) {
    if (!lua_istable(L, i) && !is_callable(L, i) &&
        !lfb_test_array(L, lfb_self(L), i) && !lfb_test_queue(L, i))
      lfb_type_error(L, i, LFB_SOURCES);
    lfb_check_source(L, i);
  }
  lua_createtable(L, n, 1);
  lua_insert(L, 1);
  for (int i = n; i >= 1; i--)
    lua_rawseti(L, 1, i);
  set_integer(L, "n", n);
  luaL_setmetatable(L, ZIP);
  return 1;
}

/* Zips within zips take C stack, and slots of Lua's, which each collection
 * looks through; one in itself would take all. */
static void check_depth(lua_State *L) {
  enum { MOST_SLOTS = 4000 };
  if (lf_stack_left() < LFB_STACK || lua_gettop(L) > MOST_SLOTS)
    luaL_error(L, "C stack overflow (zips within zips)");
  luaL_checkstack(L, 20, "zips within zips");
}

/* How many sources the zip has, which a script may have changed. */
static int count_chunks(lua_State *L, int idx) {
  lua_pushliteral(L, "n");
  lua_rawget(L, idx);
  lua_Integer n = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
  lua_pop(L, 1);
  if (n < 1 || n > (lua_Integer)lua_rawlen(L, idx))
    luaL_error(L, "bad zip (its field 'n' does not say how many it has)");
  return (int)n;
}

/* Keeps { block of sources, kept value, kept value, ... }. */
static void open_zip(lua_State *L, int idx, lfb_source *s) {
  check_depth(L);
  int n = count_chunks(L, idx);
  lua_createtable(L, n + 1, 0);
  lfb_source *parts = lua_newuserdatauv(L, sizeof *parts * (size_t)n, 0);
  lua_rawseti(L, -2, 1);
  bool tables = false;
  s->kind = LFB_ZIP;
  s->known = true;
  s->total = UINT64_MAX;
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, idx, i + 1);
    lfb_source_open(L, lua_gettop(L), &parts[i]);
    lua_rawseti(L, -3, i + 2);
    lua_pop(L, 1);
    parts[i].waits = true;
    tables = tables || parts[i].at_call;
    s->known = s->known && parts[i].known;
    s->total = parts[i].total < s->total ? parts[i].total : s->total;
  }
  s->at_call = s->known && tables;
}

static int zip_next(lua_State *L, int kept) {
  check_depth(L);
  lua_rawgeti(L, kept, 1);
  lfb_source *parts = lua_touserdata(L, -1);
  int n = (int)lua_rawlen(L, kept) - 1;
  lua_pop(L, 1);
  luaL_checkstack(L, n + 10, "too many items in a zip");
  int top = lua_gettop(L);
  for (int i = 0; i < n; i++) {
    lua_rawgeti(L, kept, i + 2);
    int got = lfb_source_next(L, &parts[i], lua_gettop(L));
    if (got == 0) {
      lua_settop(L, top);
      return 0;
    }
    lua_pop(L, got - 1);
    lua_remove(L, -2);
  }
  return n;
}

/* --- Sources
 * ---------------------------------------------------------------------------
 */

static void open_table(lua_State *L, int idx, lfb_source *s) {
  lua_pushliteral(L, "n");
  lua_rawget(L, idx);
  s->kind = LFB_TABLE;
  s->known = s->at_call = true;
  if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0)
    s->total = (uint64_t)lua_tointeger(L, -1);
  else
    s->total = (uint64_t)luaL_len(L, idx);
  lua_pop(L, 1);
  lua_pushvalue(L, idx);
}

/* Elements are read when their turn comes: others see the memory, too. */
static void open_elements(lua_State *L, int idx, lfb_source *s) {
  s->kind = LFB_ELEMENTS;
  s->known = true;
  s->total = lfb_test_array(L, lfb_self(L), idx)->length;
  lua_pushvalue(L, idx);
}

void lfb_source_open(lua_State *L, int idx, lfb_source *s) {
  *s = (lfb_source){.total = UINT64_MAX};
  if (is_table_of(L, idx, RANGE)) {
    open_range(L, idx, s);
  } else if (is_table_of(L, idx, ZIP)) {
    open_zip(L, idx, s);
  } else if (lfb_test_array(L, lfb_self(L), idx)) {
    open_elements(L, idx, s);
  } else if (lfb_is_text(L, idx)) {
    s->kind = LFB_FUNCTION;
    lfb_push_text_items(L, idx);
  } else if (lfb_test_queue(L, idx)) {
    s->kind = LFB_ITEMS;
    lua_pushvalue(L, idx);
  } else if (is_callable(L, idx)) {
    s->kind = LFB_FUNCTION;
    lua_pushvalue(L, idx);
  } else if (lua_istable(L, idx)) {
    open_table(L, idx, s);
  } else {
    lfb_type_error(L, idx, LFB_SOURCES);
  }
}

static int function_next(lua_State *L, int kept) {
  int top = lua_gettop(L);
  lua_pushvalue(L, kept);
  lua_call(L, 0, LUA_MULTRET);
  if (lua_gettop(L) > top && !lua_isnil(L, top + 1))
    return lua_gettop(L) - top;
  lua_settop(L, top);
  return 0;
}

static int queue_next(lua_State *L, bool waits, int kept) {
  int err = lfb_queue_take(L, lfb_test_queue(L, kept), waits ? LF_FOREVER : 0);
  if (err == LF_ETIMEOUT)
    return -1;
  if (err == LF_ECLOSED)
    return 0;
  return err ? lfb_queue_raise(L, err, "Empty") : 1;
}

int lfb_source_next(lua_State *L, lfb_source *s, int kept) {
  if (s->known && s->next >= s->total)
    return 0;
  uint64_t i = s->next++;
  switch (s->kind) {
  case LFB_TABLE:
  case LFB_ELEMENTS:
    lua_geti(L, kept, (lua_Integer)i + 1);
    return 1;
  case LFB_RANGE:
    push_range_item(L, s, i);
    return 1;
  case LFB_ZIP:
    return zip_next(L, kept);
  case LFB_FUNCTION:
    return function_next(L, kept);
  case LFB_ITEMS:
    return queue_next(L, s->waits, kept);
  }
  return 0;
}

void lfb_source_open_types(lua_State *L, lfb_state *S) {
  static const luaL_Reg range[] = {{"__len", range_len},
                                   {"__call", range_call},
                                   {"__tostring", range_tostring},
                                   {NULL, NULL}};
  luaL_newmetatable(L, RANGE);
  lfb_setfuncs(L, S, range);
  lua_setfield(L, -2, "Range"); /* by which it travels */
  luaL_newmetatable(L, ZIP);
  lua_setfield(L, -2, "Zip");
  lfb_text_open_types(L, S);
}
