/* SPDX-License-Identifier: MIT
 *
 * See statistics.h. */
#include "bindings/program/statistics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice.lua.h"
#include "bindings/core/options.h"
#include "bindings/pool/profile.h"
#include "bindings/program/scripts.h"
#include "bindings/run/poll.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/sample.h"
#include "runtime/sync/terminal.h"
#include "runtime/trace/trace.h"

#define MODULE "lfut.profile"

static const luaL_Reg halves[] = {{"counts", lfb_profile_counts},
                                  {"all_counts", lfb_profile_all_counts},
                                  {NULL, NULL}};

static int open_module(lua_State *L) {
  return lfb_script_run(L, lf_script_advice, sizeof lf_script_advice - 1,
                        halves);
}

static void push_half(lua_State *L, const char *name) {
  luaL_requiref(L, MODULE, open_module, 0);
  lua_getfield(L, -1, name);
  lua_replace(L, -2);
}

/* exe:profile() */
static int executor_profile(lua_State *L) {
  lua_settop(L, 1);
  push_half(L, "profile");
  lua_insert(L, 1);
  lua_call(L, 1, 1);
  return 1;
}

/* --- Traces --- */

static char *traced; /* the file's name, or NULL */

static void tell(const char *path, const char *what) {
  lf_terminal_complain("lfut: trace '%s': %s\n", path, what);
}

/* 0, or errno. */
static int begin(const char *path) {
  static bool at_exit;
  char *copy = strdup(path);
  lfb_trace_end();
  int err =
      copy ? lf_trace_start(path, lf_profiles_sample, lf_profiles_rest, NULL)
           : ENOMEM;
  if (err) {
    free(copy);
    return err;
  }
  traced = copy;
  if (!at_exit)
    atexit(lfb_trace_end);
  at_exit = true;
  return 0;
}

void lfb_trace_begin(const char *path) {
  int err = begin(path);
  if (err)
    tell(path, strerror(err));
}

void lfb_trace_end(void) {
  uint64_t lost;
  char *path = traced, text[64];
  traced = NULL;
  if (!path)
    return;
  int err = lf_trace_stop(&lost);
  if (err) {
    tell(path, strerror(err));
  } else if (lost > 0) {
    snprintf(text, sizeof text, "%llu events are missing",
             (unsigned long long)lost);
    tell(path, text);
  }
  free(path);
}

/* lfut.trace(file), lfut.trace(nil) */
static int trace(lua_State *L) {
  lfb_state *S = lfb_self(L);
  if (S->vm)
    return luaL_error(L, "trace: called in a task");
  size_t len = 0;
  const char *path = luaL_optlstring(L, 1, NULL, &len);
  luaL_argcheck(L, !path || (len > 0 && strlen(path) == len), 1,
                "a file's name expected");
  lfb_poll(L, S); /* what workers have sent belongs to it */
  lfb_trace_end();
  if (!path)
    return 0;
  int err = begin(path);
  return err ? luaL_error(L, "trace '%s': %s", path, strerror(err)) : 0;
}

/* --- Statistics --- */

void lfb_stats_begin(void) {
  lf_profiles_keep();
  lf_time_long();
}

/* Protected: pushes the text. */
static int push_stats(lua_State *L) {
  bool json = lua_toboolean(L, 1);
  push_half(L, "stats");
  lua_pushboolean(L, json);
  lua_call(L, 1, 1);
  return 1;
}

void lfb_stats_print(lua_State *L, bool json) {
  lua_pushcfunction(L, push_stats);
  lua_pushboolean(L, json);
  int status = lua_pcall(L, 1, 1, 0);
  const char *text = lua_tostring(L, -1);
  fflush(stdout);
  lf_terminal_complain(status == LUA_OK ? "%s" : "lfut: statistics: %s\n",
                       text ? text : "?");
  fflush(stderr);
  lua_pop(L, 1);
}

void lfb_statistics_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"profile", executor_profile},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"trace", trace}, {NULL, NULL}};
  lfb_add_methods(L, S, LFB_EXECUTOR, methods);
  lfb_setfuncs(L, S, functions);
  lfb_script_preload(L, MODULE, open_module);
}
