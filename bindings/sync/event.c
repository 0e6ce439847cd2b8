/* SPDX-License-Identifier: MIT
 *
 * lfut.Event: a flag to wait for. */
#include "bindings/sync/event.h"

#include "bindings/core/options.h"
#include "bindings/run/wait_shared.h"
#include "bindings/sync/shared.h"

#include "runtime/sync/sync.h"

static lf_event *check_event(lua_State *L) {
  return lfb_check_shared(L, 1, LFB_EVENT);
}

static int event_is_set(lua_State *L) {
  lua_pushboolean(L, atomic_load(&check_event(L)->set) != 0);
  return 1;
}

static int event_set(lua_State *L) {
  lf_event_set(check_event(L));
  return 0;
}

static int event_clear(lua_State *L) {
  atomic_store(&check_event(L)->set, 0);
  return 0;
}

static int look_at_event(void *arg) {
  return atomic_load(&((lf_event *)arg)->set) ? 0 : LF_EAGAIN;
}

static int look_at_set(void *arg) {
  return look_at_event(*(lf_event **)arg);
}

/* wait([timeout]) -> was it set? Also if it has been cleared since. */
static int event_wait(lua_State *L) {
  lf_event *e = check_event(L);
  lfb_shared_wait what = {.object = &e->shared,
                          .kind = LF_WAITER,
                          .once = true,
                          .deadline = lfb_check_deadline(L, 2),
                          .look = look_at_set,
                          .arg = &e,
                          .size = sizeof e,
                          .then = lfb_push_in_time};
  if (look_at_event(e) == 0)
    return lfb_push_in_time(L, 0, 0, NULL, NULL);
  return lfb_await_shared(L, lfb_self(L), &what);
}

int lfb_event(lua_State *L) {
  lfb_shared_new(L, LFB_EVENT, sizeof(lf_event));
  return 1;
}

static int event_tostring(lua_State *L) {
  bool set = atomic_load(&check_event(L)->set);
  lua_pushfstring(L, "lfut.Event(%s)", set ? "set" : "not set");
  return 1;
}

void lfb_event_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg methods[] = {{"is_set", event_is_set},
                                     {"set", event_set},
                                     {"clear", event_clear},
                                     {LFB_STEP "wait", event_wait},
                                     {NULL, NULL}};
  static const luaL_Reg extra[] = {{"__tostring", event_tostring},
                                   {NULL, NULL}};
  static const lfb_descriptor event_class = {.class = LFB_EVENT,
                                             .name = "lfut.Event",
                                             .methods = methods,
                                             .metamethods = extra,
                                             .base = lfb_shared_base,
                                             .handle = &lfb_shared_handle};
  lfb_newclass(L, S, &event_class);
}
