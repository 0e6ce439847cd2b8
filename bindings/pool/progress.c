/* SPDX-License-Identifier: MIT
 *
 * See progress.h. */
#include "bindings/pool/progress.h"

#include <string.h>

#include "bindings/core/options.h"
#include "bindings/run/output.h"

void lfb_meter_option(lua_State *L, int opts) {
  if (!lua_istable(L, opts)) {
    lua_pushnil(L);
    return;
  }
  int type = lua_getfield(L, opts, "progress");
  if (type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TSTRING &&
      !lfb_is_callable(L, -1))
    lfb_option_error(L, "progress", "boolean, string or function");
}

/* The bar, unless there is one. */
static void begin_bar(lua_State *L, lfb_meter *m) {
  size_t len = m->name ? strlen(m->name) : 0;
  const char *label = m->name;
  if (lua_type(L, -1) == LUA_TSTRING)
    label = lua_tolstring(L, -1, &len);
  m->bar = lf_bar_new(label, len);
  m->on = m->bar != NULL;
  if (m->on)
    lfb_output_share(L, lfb_self(L));
}

void lfb_meter_begin(lua_State *L, lfb_meter *m, int self, int slot,
                     const char *name, bool fixed, uint64_t total) {
  m->name = name && name[0] ? name : NULL;
  m->fixed = fixed;
  m->slot = slot;
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  int type = lua_type(L, -1);
  m->calls = type != LUA_TBOOLEAN && type != LUA_TSTRING;
  if (m->calls) {
    m->on = true;
    lua_setiuservalue(L, self, slot);
  } else {
    begin_bar(L, m);
    if (m->bar)
      lf_bar_move(m->bar, 0, fixed, total);
    lua_pop(L, 1);
  }
}

/* fn(done, total, label) */
static bool call(lua_State *L, lfb_meter *m, int self, uint64_t done,
                 bool known, uint64_t total) {
  luaL_checkstack(L, 8, "progress");
  lua_getiuservalue(L, self, m->slot);
  lua_pushinteger(L, (lua_Integer)done);
  if (known)
    lua_pushinteger(L, (lua_Integer)total);
  else
    lua_pushnil(L);
  lua_pushstring(L, m->name);
  m->in = true;
  int status = lua_pcall(L, 3, 0, 0);
  m->in = false;
  return status == LUA_OK;
}

bool lfb_meter_tell(lua_State *L, lfb_meter *m, int self, uint64_t done,
                    bool known, uint64_t total) {
  if (m->all || m->in || done <= m->done)
    return true;
  m->done = done;
  if (m->bar)
    lf_bar_move(m->bar, done, known, total);
  if (!m->calls)
    return true;
  known = known && m->fixed;
  m->all = known && done == total;
  return call(L, m, self, done, known, total);
}

bool lfb_meter_finish(lua_State *L, lfb_meter *m, int self, uint64_t total) {
  if (!m->on || m->in)
    return true;
  bool told = m->all;
  m->all = true;
  if (m->bar)
    lf_bar_move(m->bar, total, true, total);
  bool calls = m->calls && !told;
  lfb_meter_end(L, m);
  return !calls || call(L, m, self, total, true, total);
}

void lfb_meter_end(lua_State *L, lfb_meter *m) {
  m->on = false;
  if (!m->bar)
    return;
  lfb_output_unshare(L, lfb_state_of(L));
  lf_bar_end(m->bar);
  m->bar = NULL;
}
