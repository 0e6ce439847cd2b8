/* SPDX-License-Identifier: MIT
 *
 * See error.h. */
#include "bindings/core/error.h"
#include "bindings/core/argument.h"

#include <stdarg.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/pool/limits.h"

#define METATABLE "lfut.Error"

/* Kinds that are special cases of another. */
static const char *const parents[][2] = {
    {"BrokenThreadPool", "BrokenExecutor"},
    {"BrokenProcessPool", "BrokenExecutor"},
};

static int error_tostring(lua_State *L) {
  lfb_check_type(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "kind");
  lua_getfield(L, 1, "message");
  const char *kind = luaL_tolstring(L, 2, NULL);
  const char *message = luaL_tolstring(L, 3, NULL);
  lua_pushfstring(L, "%s: %s", kind, message);
  return 1;
}

void lfb_error_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg metamethods[] = {{"__tostring", error_tostring},
                                         {NULL, NULL}};
  luaL_newmetatable(L, METATABLE);
  lfb_setfuncs(L, S, metamethods);
  lua_setfield(L, -2, "Error");
}

void lfb_push_error(lua_State *L, const char *kind, const char *format, ...) {
  va_list args;
  lua_createtable(L, 0, 2);
  lua_pushstring(L, kind);
  lua_setfield(L, -2, "kind");
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_setfield(L, -2, "message");
  luaL_setmetatable(L, METATABLE);
}

int lfb_raise(lua_State *L, const char *trace) {
  if (trace) {
    lfb_push_ref(L, LFB_REF_LAST_ERROR);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushstring(L, trace);
    lua_rawseti(L, -2, 2);
    lua_pop(L, 1);
  }
  return lua_error(L);
}

bool lfb_last_trace(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lfb_push_ref(L, LFB_REF_LAST_ERROR);
  if (!lua_istable(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  lua_rawgeti(L, -1, 1);
  bool same = !lua_isnil(L, -1) && lua_rawequal(L, -1, idx);
  lua_pop(L, 1);
  lua_rawgeti(L, -1, 2);
  lua_remove(L, -2);
  if (!same || !lua_isstring(L, -1)) {
    lua_pop(L, 1);
    return false;
  }
  return true;
}

const char *lfb_broken_kind(lf_pool *pool) {
  return pool ? lf_pool_broken_kind(pool) : "BrokenThreadPool";
}

void lfb_push_lost(lua_State *L, const void *bytes, size_t len,
                   const char *func) {
  lf_lost lost;
  if (len < sizeof lost) { /* there was no memory for it */
    lfb_push_error(L, "WorkerLost", "%s", "its worker has died");
    return;
  }
  memcpy(&lost, bytes, sizeof lost);
  lua_pushlstring(L, (const char *)bytes + sizeof lost, len - sizeof lost);
  lfb_push_error(L, "WorkerLost", "%s", lua_tostring(L, -1));
  lua_remove(L, -2);
  lua_pushinteger(L, lost.pid);
  lua_setfield(L, -2, "pid");
  lua_pushstring(L, func);
  lua_setfield(L, -2, "func");
  if (lost.host[0]) {
    lua_pushstring(L, lost.host);
    lua_setfield(L, -2, "host");
  }
  if (lost.signal) {
    lua_pushstring(L, lf_signal_name(lost.signal));
    lua_setfield(L, -2, "signal");
  } else if (lost.exitcode >= 0) {
    lua_pushinteger(L, lost.exitcode);
    lua_setfield(L, -2, "exitcode");
  }
}

static double seconds(int64_t ns) {
  return (double)ns / 1e9;
}

void lfb_push_stopped(lua_State *L, lf_reason reason, const lf_limits *limits,
                      const char *label) {
  const char *name = limits && limits->name_len > 0 ? limits->name : label;
  if (reason == LF_STOP_CANCEL)
    lfb_push_error(L, "CancelledError", "the future was cancelled");
  else if (reason == LF_STOP_MEMORY && limits)
    lfb_push_error(L, "MemoryLimit", "%s has taken more than %I bytes", name,
                   (LUAI_UACINT)limits->memory);
  else if (reason == LF_STOP_QUEUE && limits)
    lfb_push_error(L, "TaskTimeout", "%s has waited in the queue for %f s",
                   name, seconds(limits->queue_timeout));
  else if (limits)
    lfb_push_error(L, "TaskTimeout", "%s has taken longer than %f s", name,
                   seconds(limits->timeout));
  else
    lfb_push_error(L, "TaskTimeout", "%s has taken too long", name);
}

int lfb_raise_memory(lua_State *L) {
  return luaL_error(L, LF_NO_MEMORY);
}

int lfb_raise_code(lua_State *L, int err, lf_pool *pool) {
  switch (err) {
  case LF_ENOMEM:
    return lfb_raise_memory(L);
  case LF_ETHREAD:
    return luaL_error(L, "cannot start a worker thread");
  case LF_ESHUTDOWN:
    return luaL_error(L, "cannot schedule new futures after shutdown");
  case LF_EBROKEN: {
    const char *why = lf_pool_broken(pool);
    lfb_push_error(L, lfb_broken_kind(pool), "%s", why ? why : "");
    return lua_error(L);
  }
  case LF_ECLUSTER: {
    const char *why = lf_pool_trouble(pool);
    lfb_push_error(L, "ClusterError", "%s", why ? why : "try again");
    return lua_error(L);
  }
  case LF_EPERM:
    return luaL_error(L, "this executor cannot do that");
  default:
    lf_panic(__FILE__, __LINE__, "unexpected error code");
  }
}

void lfb_refuse_foreign(lua_State *L, lf_task *task) {
  if (task->owner && lf_pool_is_foreign(lf_task_pool(task)) &&
      !lf_task_done(task))
    luaL_error(L, "future belongs to another process");
}

static bool kind_is(const char *kind, const char *wanted) {
  if (strcmp(kind, wanted) == 0)
    return true;
  for (size_t i = 0; i < sizeof parents / sizeof parents[0]; i++)
    if (strcmp(parents[i][0], kind) == 0)
      return kind_is(parents[i][1], wanted);
  return false;
}

bool lfb_is_own_error(lua_State *L, int idx) {
  return lua_istable(L, idx) && lfb_has_metatable(L, idx, METATABLE);
}

int lfb_is_error(lua_State *L) {
  lfb_check_any(L, 1);
  const char *wanted = lfb_optional_string(L, 2, NULL);
  bool is = lfb_is_own_error(L, 1);
  if (is && wanted) {
    lua_getfield(L, 1, "kind");
    const char *kind = lua_tostring(L, -1);
    is = kind && kind_is(kind, wanted);
  }
  lua_pushboolean(L, is);
  return 1;
}
