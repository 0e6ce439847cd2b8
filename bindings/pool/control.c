/* SPDX-License-Identifier: MIT
 *
 * See control.h. A view of an executor is an executor object of its own, with a
 * handle of its own, whose tasks have the limits. */
#include "bindings/pool/control.h"

#include <math.h>
#include <string.h>

#include "bindings/core/argument.h"
#include "bindings/core/box.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "runtime/base/mem.h"

#define MOST_SECONDS 1e9 /* more than thirty years nobody means */

enum {
  LEAST_MEMORY = 64 << 10, /* less is taken by what calls the task */
  MOST_NAME = 1000,
};

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

/* The option as an integer of at least that, if it is set. */
static void read_count(lua_State *L, int idx, const char *name,
                       lua_Integer least, uint64_t *value) {
  lua_Integer n;
  if (!lfb_option_integer(L, idx, name, &n))
    return;
  if (n < least)
    luaL_error(L, "bad option '%s' (must be an integer >= %I)", name,
               (LUAI_UACINT)least);
  *value = (uint64_t)n;
}

/* Leaves the name on the stack. */
static const char *read_name(lua_State *L, int idx, size_t *len) {
  int type = lua_getfield(L, idx, "name");
  if (type != LUA_TNIL && type != LUA_TSTRING)
    lfb_option_error(L, "name", "string");
  const char *name = lua_tolstring(L, -1, len);
  if (name && *len > MOST_NAME)
    luaL_error(L, "bad option 'name' (more than %d bytes)", (int)MOST_NAME);
  return name;
}

/* What executors and views can have. */
static void read_common(lua_State *L, int idx, lf_limits *l) {
  read_time(L, idx, "timeout", false, &l->timeout);
  read_time(L, idx, "grace", true, &l->grace);
  read_count(L, idx, "memory_limit", LEAST_MEMORY, &l->memory);
  read_count(L, idx, "retries", 0, &l->retries);
}

static lf_limits *new_limits(lua_State *L, const lf_limits *l, const char *name,
                             size_t len) {
  lf_limits *limits = lf_limits_new(l, name, len);
  if (!limits)
    lfb_raise_memory(L);
  return limits;
}

lf_limits *lfb_executor_limits(lua_State *L, int idx, uint64_t retries) {
  lf_limits l;
  lf_limits_copy(&l, NULL);
  l.retries = retries;
  if (lua_istable(L, idx))
    read_common(L, idx, &l);
  bool any = lf_limits_are_of_each(&l) || l.retries > 0 || l.grace != LF_GRACE;
  return any ? new_limits(L, &l, "", 0) : NULL;
}

/* Those of the view that is made of one with the former ones. */
static lf_limits *view_limits(lua_State *L, int idx, const lf_limits *former) {
  lf_limits l;
  lua_Integer priority;
  size_t len;
  lf_limits_copy(&l, former);
  read_common(L, idx, &l);
  read_time(L, idx, "queue_timeout", false, &l.queue_timeout);
  if (lfb_option_integer(L, idx, "priority", &priority))
    l.priority = priority;
  const char *name = read_name(L, idx, &len);
  if (!name && former) {
    name = former->name;
    len = former->name_len;
  }
  return new_limits(L, &l, name ? name : "", name ? len : 0);
}

/* exe:options{...} -> a view */
static int executor_options(lua_State *L) {
  static const char *const names[] = {
      "timeout", "queue_timeout", "retries",  "memory_limit",
      "grace",   "name",          "priority", NULL};
  lfb_executor *exe = lfb_check_executor(L, 1);
  lfb_check_type(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lfb_check_option_names(L, 2, names);
  lfb_executor *view = lfb_push_view(L, lfb_self(L), 1);
  view->limits = view_limits(L, 2, exe->limits);
  lua_settop(L, 3);
  return 1;
}

/* --- Sending --- */

typedef struct {
  uint32_t view;
  uint32_t len; /* of the limits' bytes, which follow */
} sent_head;

void lfb_limits_pack(lua_State *L, lfb_packer *P) {
  const lfb_executor *exe = lua_touserdata(L, -1);
  sent_head head = {.view = exe->base != NULL};
  size_t len = 0;
  const void *bytes = exe->limits ? lf_limits_bytes(exe->limits, &len) : NULL;
  head.len = (uint32_t)len;
  lfb_packer_put(P, &head, sizeof head);
  if (bytes)
    lfb_packer_put(P, bytes, len);
}

/* Replaces the executor at the top by a view of it. */
static lfb_executor *become_view(lua_State *L) {
  lfb_executor *view = lfb_push_view(L, lfb_state_find(L), -1);
  lua_replace(L, -2);
  return view;
}

void lfb_limits_unpack(lua_State *L, lfb_unpacker *U) {
  sent_head head;
  lfb_executor *exe = lua_touserdata(L, -1);
  lfb_unpacker_get(U, &head, sizeof head);
  if (head.len > sizeof(lf_limits) + MOST_NAME || (head.view && !head.len))
    lfb_unpacker_refuse(U);
  if (head.view)
    exe = become_view(L);
  if (head.len == 0)
    return;
  lf_buf bytes;
  lf_buf_init(&bytes, lua_newuserdatauv(L, head.len, 0), head.len);
  bytes.len = head.len;
  lfb_unpacker_get(U, bytes.data, bytes.len);
  lf_limits *limits = exe->limits ? NULL : lf_limits_from(&bytes);
  lua_pop(L, 1);
  if (!limits && !exe->limits)
    lfb_unpacker_refuse(U);
  exe->limits = exe->limits ? exe->limits : limits;
}

void lfb_control_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"options", executor_options},
                                     {NULL, NULL}};
  lfb_add_methods(L, S, LFB_EXECUTOR, methods);
}
