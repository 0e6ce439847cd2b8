/* SPDX-License-Identifier: MIT
 *
 * See control.h. A view of an executor is an executor object of its own, with a
 * handle of its own, whose tasks have the limits. */
#include "bindings/pool/control.h"

#include <math.h>
#include <string.h>

#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "runtime/base/mem.h"

#define MOST_SECONDS 1e9 /* more than thirty years nobody means */

/* The option as nanoseconds, if it is set. */
static void read_time(lua_State *L, int idx, const char *name, bool zero,
                      int64_t *ns) {
  if (lua_getfield(L, idx, name) != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TNUMBER)
      lfb_option_error(L, name, "number of seconds");
    lua_Number seconds = lua_tonumber(L, -1);
    bool fits = zero ? seconds >= 0 : seconds > 0;
    if (!fits || !(seconds <= MOST_SECONDS))
      luaL_error(L, "bad option '%s' (a number of seconds from %s to %d)", name,
                 zero ? "0" : "above 0", (int)MOST_SECONDS);
    *ns = (int64_t)ceil(seconds * 1e9);
  }
  lua_pop(L, 1);
}

static void read_name(lua_State *L, int idx, lf_limits *limits) {
  if (lua_getfield(L, idx, "name") != LUA_TNIL) {
    if (lua_type(L, -1) != LUA_TSTRING)
      lfb_option_error(L, "name", "string");
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    lf_free(limits->name);
    limits->name = lf_strndup(name, len);
    if (!limits->name)
      lfb_raise_memory(L);
  }
  lua_pop(L, 1);
}

bool lfb_limits_are_of_tasks(const lf_limits *l) {
  return l->timeout != LF_FOREVER || l->queue_timeout != LF_FOREVER ||
         l->grace != LF_GRACE || l->name;
}

lf_limits *lfb_read_limits(lua_State *L, int idx, const lf_limits *former) {
  lfb_box *box = lfb_push_box(L, lf_limits_unref);
  lf_limits *l = lf_limits_new();
  if (!l)
    lfb_raise_memory(L);
  box->content = l;
  if (former) {
    l->timeout = former->timeout;
    l->queue_timeout = former->queue_timeout;
    l->grace = former->grace;
    l->priority = former->priority;
    l->name =
        former->name ? lf_strndup(former->name, strlen(former->name)) : NULL;
    if (former->name && !l->name)
      lfb_raise_memory(L);
  }
  read_time(L, idx, "timeout", false, &l->timeout);
  read_time(L, idx, "queue_timeout", false, &l->queue_timeout);
  read_time(L, idx, "grace", true, &l->grace);
  if (former) { /* of a view; an executor's name is that of its workers */
    read_name(L, idx, l);
    lua_Integer priority;
    if (lfb_option_integer(L, idx, "priority", &priority))
      l->priority = priority;
  }
  box->content = NULL;
  lua_pop(L, 1);
  if (former || lfb_limits_are_of_tasks(l))
    return l;
  lf_limits_unref(l);
  return NULL;
}

/* exe:options{...} -> a view */
static int executor_options(lua_State *L) {
  static const char *const names[] = {"timeout", "queue_timeout", "grace",
                                      "name",    "priority",      NULL};
  lfb_executor *exe = lfb_check_executor(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lfb_check_option_names(L, 2, names);
  lfb_executor *view = lfb_push_view(L, lfb_self(L), exe);
  static const lf_limits none = {
      .timeout = LF_FOREVER, .queue_timeout = LF_FOREVER, .grace = LF_GRACE};
  view->limits = lfb_read_limits(L, 2, exe->limits ? exe->limits : &none);
  return 1;
}

void lfb_control_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"options", executor_options},
                                     {NULL, NULL}};
  lfb_add_methods(L, S, LFB_EXECUTOR, methods);
}
