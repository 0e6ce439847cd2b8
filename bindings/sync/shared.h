/* SPDX-License-Identifier: MIT
 *
 * What all handles to shared objects have in common: queues, locks and the
 * like, which lie in memory that threads and processes share
 * (runtime/shm/array.h). The handle is a userdata with a reference; it travels
 * as one. */
#ifndef LFB_SYNC_SHARED_H
#define LFB_SYNC_SHARED_H

#include "bindings/core/state.h"

#include "runtime/os/fork.h"
#include "runtime/shm/array.h"

/* The userdata. */
typedef struct {
  lf_array *root;    /* a reference, or NULL */
  const void *class; /* &lfb_shared_marks[its class]; else it is none */
  void *object;      /* in shared memory */
  lf_array *partner; /* a condition's lock, a reference, or NULL */
} lfb_shared;

extern const char lfb_shared_marks[LFB_CLASSES];

/* Metamethods of all classes; how they travel. */
extern const luaL_Reg lfb_shared_base[];
extern const lfb_handle lfb_shared_handle;

/* Pushes a new object of the size. Raises. */
lfb_shared *lfb_shared_new(lua_State *L, lfb_class class, size_t size);

/* What is to be done with the class's objects when nobody has them any more. */
void lfb_shared_fini(lfb_class class, void (*fini)(void *object));

/* The handle at 'idx' of any of the classes, or NULL. */
LF_INLINE lfb_shared *lfb_shared_at(lua_State *L, int idx) {
  lfb_shared *b = lua_touserdata(L, idx);
  if (!b || lua_rawlen(L, idx) != sizeof *b)
    return NULL;
  const char *class = b->class;
  return class >= lfb_shared_marks + LFB_QUEUE &&
                 class < lfb_shared_marks + LFB_CLASSES
             ? b
             : NULL;
}

/* The object of that class at 'idx', or an argument error. */
void *lfb_shared_error(lua_State *L, int idx, lfb_class class);

LF_INLINE void *lfb_check_shared(lua_State *L, int idx, lfb_class class) {
  lfb_shared *b = lua_touserdata(L, idx);
  if (b && lua_rawlen(L, idx) == sizeof *b &&
      b->class == &lfb_shared_marks[class])
    return b->object;
  return lfb_shared_error(L, idx, class);
}

uint64_t lfb_new_holder(lua_State *L, lfb_holder *holder);
lfb_holder *lfb_holder_of(lfb_state *S);

/* By what name the running task, or the interpreter, holds locks. Raises. */
LF_INLINE uint64_t lfb_self_holder(lua_State *L, lfb_state *S) {
  lfb_holder *h = lfb_holder_of(S);
  return h->id && !lf_is_foreign(h->generation) ? h->id : lfb_new_holder(L, h);
}

/* Gives back what a method 'with' has acquired. Must not raise. */
typedef void (*lfb_leave)(lua_State *L, void *object);

/* Of a method 'with', before it acquires anything: puts a value behind the
 * handle at 1 that is to be closed, however the method is left. Raises. */
void lfb_push_guard(lua_State *L, lfb_leave leave, void *object);

/* When it has: calls the function at 3 with what is behind it, up to 'top'; its
 * results, or its error. 'return' it. */
int lfb_call_guarded(lua_State *L, int top);

/* Pushes a guard for scripts: what it gives back when it is closed is the
 * object of the handle at 1, which it keeps. It is not armed yet. Raises. */
void lfb_push_own_guard(lua_State *L, lfb_leave leave, void *object);

/* The guard at 'idx' has something to give back. */
void lfb_arm_guard(lua_State *L, int idx);

/* The class of these values. */
void lfb_guard_open(lua_State *L, lfb_state *S);

#endif
