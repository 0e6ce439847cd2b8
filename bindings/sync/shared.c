/* SPDX-License-Identifier: MIT
 *
 * See shared.h. */
#include "bindings/sync/shared.h"

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/pack/reach.h"
#include "bindings/run/run.h"
#include "bindings/sync/array.h"
#include "runtime/shm/arena.h"

const char lfb_shared_marks[LFB_CLASSES];

static lfb_shared *push_empty(lua_State *L, lfb_class class) {
  int values = class == LFB_BARRIER; /* its action; the collector looks */
  lfb_shared *b = lua_newuserdatauv(L, sizeof *b, values);
  *b = (lfb_shared){.class = &lfb_shared_marks[class]};
  lfb_set_class(L, class);
  return b;
}

static uint32_t type_of(lfb_class class) {
  return (uint32_t)(class - LFB_QUEUE) + 1;
}

void lfb_shared_fini(lfb_class class, void (*fini)(void *object)) {
  lf_object_fini(type_of(class), fini);
}

lfb_shared *lfb_shared_new(lua_State *L, lfb_class class, size_t size) {
  lfb_state *S = lfb_self(L);
  lfb_shared *b = push_empty(L, class);
  b->root = lf_object_new(type_of(class), size);
  if (!b->root)
    lfb_raise_memory(L);
  b->object = b->root->data;
  if (S->vm)
    S->vm->idle_garbage = true;
  return b;
}

static bool fits(lfb_class class, const void *array) {
  const lf_array *a = array;
  return a->type == LF_A_OBJECT &&
         ((const lf_shared *)a->data)->type == type_of(class);
}

/* Pushes a handle to the object, with a reference of its own. */
static void push_object(lua_State *L, lfb_state *S, void *array) {
  lf_array *a = array;
  const lf_shared *object = a->data;
  lf_check(a->type == LF_A_OBJECT && object->type >= 1 &&
           object->type <= type_of(LFB_CLASSES - 1));
  lfb_shared *b = push_empty(L, LFB_QUEUE + (lfb_class)object->type - 1);
  b->root = lf_array_ref(a);
  b->object = a->data;
  if (S->vm)
    S->vm->idle_garbage = true;
}

const lfb_handle lfb_shared_handle = {.ref = lfb_array_hold,
                                      .drop = lf_array_unref,
                                      .push = push_object,
                                      .fits = fits,
                                      .crosses = lfb_reach_machine};

void *lfb_shared_error(lua_State *L, int idx, lfb_class class) {
  lfb_type_error(L, idx, lfb_self(L)->descriptors[class]->name);
  return NULL;
}

static int shared_gc(lua_State *L) {
  lfb_shared *b = lfb_shared_at(L, 1);
  if (!b)
    return 0;
  b->class = NULL;
  if (b->root)
    lf_array_unref(b->root);
  if (b->partner)
    lf_array_unref(b->partner);
  return 0;
}

static int shared_eq(lua_State *L) {
  lfb_shared *a = lfb_shared_at(L, 1), *b = lfb_shared_at(L, 2);
  lua_pushboolean(L, a && b && a->object == b->object);
  return 1;
}

/* The name of the class, of which its own __tostring tells more. */
static int shared_tostring(lua_State *L) {
  luaL_getmetafield(L, 1, "__name");
  lua_pushfstring(L, "%s: %p", lua_tostring(L, -1), lua_touserdata(L, 1));
  return 1;
}

const luaL_Reg lfb_shared_base[] = {{"__eq", shared_eq},
                                    {"__gc", shared_gc},
                                    {"__tostring", shared_tostring},
                                    {NULL, NULL}};

/* --- Holders --- */

lfb_holder *lfb_holder_of(lfb_state *S) {
  lfb_run *r = S->vm ? S->vm->current : NULL;
  return r ? &r->holder : &S->holder;
}

uint64_t lfb_new_holder(lua_State *L, lfb_holder *h) {
  h->generation = lf_generation;
  h->id = lf_holder_new();
  if (!h->id)
    luaL_error(L, "too many processes for locks");
  return h->id;
}

/* --- with --- */

/* What gives back what a method 'with' has acquired: a to-be-closed value. The
 * handle at 1 keeps the object. */
typedef struct {
  lfb_leave leave;
  void *object;
  bool armed, taken;
} guard;

static const char spare_guard; /* the place of one in the registry */

static guard *push_new_guard(lua_State *L) {
  guard *g = lua_newuserdatauv(L, sizeof *g, 1);
  *g = (guard){.armed = false};
  lfb_set_class(L, LFB_GUARD);
  return g;
}

/* One serves again and again, unless one 'with' is inside of another. */
static guard *push_free_guard(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &spare_guard);
  guard *g = lua_touserdata(L, -1);
  if (g && !g->taken)
    return g;
  lua_pop(L, 1);
  guard *new = push_new_guard(L);
  if (!g) {
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &spare_guard);
  }
  return new;
}

void lfb_push_guard(lua_State *L, lfb_leave leave, void *object) {
  guard *g = push_free_guard(L);
  lua_insert(L, 2);
  lfb_toclose(L, 2);
  *g = (guard){.leave = leave, .object = object, .taken = true};
}

void lfb_push_own_guard(lua_State *L, lfb_leave leave, void *object) {
  guard *g = push_new_guard(L);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  *g = (guard){.leave = leave, .object = object, .taken = true};
}

void lfb_arm_guard(lua_State *L, int idx) {
  ((guard *)lua_touserdata(L, idx))->armed = true;
}

static void leave(lua_State *L, guard *g) {
  if (g->armed)
    g->leave(L, g->object);
  g->armed = g->taken = false;
}

static int guard_close(lua_State *L) {
  leave(L, lua_touserdata(L, 1));
  return 0;
}

/* The results of fn are behind 'base' values; or its error at the top, where
 * nobody else closes the guard. */
static int after_call(lua_State *L, int status, lua_KContext base) {
  if (!LFB_HAS_CLOSE)
    leave(L, lua_touserdata(L, 2));
  if (status != LUA_OK && status != LUA_YIELD)
    return lua_error(L);
  return lua_gettop(L) - (int)base;
}

int lfb_call_guarded(lua_State *L, int top) {
  ((guard *)lua_touserdata(L, 2))->armed = true;
  int base = lua_gettop(L);
  luaL_checkstack(L, top, "too many arguments");
  for (int i = 3; i <= top; i++)
    lua_pushvalue(L, i);
  return LFB_HAS_CLOSE ? lfb_call_then(L, top - 3, base, after_call)
                       : lfb_pcall_then(L, top - 3, base, after_call);
}

void lfb_guard_open(lua_State *L, lfb_state *S) {
  static const luaL_Reg metamethods[] = {{"__close", guard_close},
                                         {NULL, NULL}};
  static const lfb_descriptor guard_class = {
      .class = LFB_GUARD, .name = "guard", .metamethods = metamethods};
  lfb_newclass(L, S, &guard_class);
}
