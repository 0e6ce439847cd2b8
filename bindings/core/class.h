/* SPDX-License-Identifier: MIT
 *
 * Classes of userdata: their metatables, and how one is told from others. */
#ifndef LFB_CORE_CLASS_H
#define LFB_CORE_CLASS_H

#include "bindings/engine/compat.h"

typedef struct lfb_state lfb_state; /* state.h */

/* In packed values, by number. */
typedef enum {
  LFB_FUTURE,
  LFB_EXECUTOR,
  LFB_MAP,
  LFB_COMPLETED,
  LFB_PROCESS,
  LFB_THREAD,
  LFB_LIBRARY,
  LFB_NATIVE,
  LFB_POINTER,
  LFB_OUT,
  LFB_ARRAY,
  LFB_GUARD,
  LFB_DESCRIPTOR,
  /* Shared objects (shared.h), in the order of their types. */
  LFB_QUEUE,
  LFB_LOCK,
  LFB_RLOCK,
  LFB_SEMAPHORE,
  LFB_BOUNDED_SEMAPHORE,
  LFB_EVENT,
  LFB_CONDITION,
  LFB_BARRIER,
  LFB_VALUE,
  LFB_DICT,
  LFB_CLASSES
} lfb_class;

struct lfb_reach;
struct lfb_packer;
struct lfb_unpacker;

/* How userdata travel whose first word is a pointer to something counted. */
typedef struct {
  /* A reference for a buffer, which 'drop' gives back. */
  void (*ref)(void *object);
  void (*drop)(void *object);
  /* Pushes a userdata for it, taking a reference of its own. */
  void (*push)(lua_State *L, lfb_state *S, void *object);
  /* Among what 'drop' drops, is it the class's? NULL: always. */
  bool (*fits)(lfb_class class, const void *object);
  /* May it go so far, to another process? NULL: never. */
  bool (*crosses)(const struct lfb_reach *reach, const void *object);
} lfb_handle;

/* What a class is: in the file of the class, which keeps it for good. */
typedef struct {
  lfb_class class;
  const char *name;            /* what messages call it */
  const luaL_Reg *methods;     /* may be NULL */
  const luaL_Reg *metamethods; /* may be NULL */
  const luaL_Reg *base;        /* those that it has in common with others, if it
                                  has none of its own; may be NULL */
  lua_CFunction index;      /* __index, whose second upvalue is a table of the
                               methods; NULL: that table itself */
  const lfb_handle *handle; /* NULL: it is none */
  /* What is packed besides the handle of the userdata at the top, and read when
   * that has been pushed. Without a handle, all: 'unpack' pushes then. NULL:
   * nothing. Raise. */
  void (*pack)(lua_State *L, struct lfb_packer *P);
  void (*unpack)(lua_State *L, struct lfb_unpacker *U);
  bool local; /* what is so packed means nothing on another machine */
} lfb_descriptor;

/* That of the userdata at 'idx', or NULL. */
const lfb_descriptor *lfb_class_at(lua_State *L, lfb_state *S, int idx);

/* Makes the class's metatable, left in the registry. */
void lfb_newclass(lua_State *L, lfb_state *S, const lfb_descriptor *class);

/* Pushes the table of the class's methods, or something else if it has none. */
void lfb_push_methods(lua_State *L, lfb_class class);

/* Adds methods to a class that is made already. */
void lfb_add_methods(lua_State *L, lfb_state *S, lfb_class class,
                     const luaL_Reg *methods);

/* For the 'index' of a class: leaves at 3 the method that the key at 2 names,
 * and returns NULL; or nil, and returns the key, "" if it is no string. */
const char *lfb_push_method(lua_State *L);

/* Has the value at 'idx' the metatable of that name (luaL_newmetatable)? */
bool lfb_has_metatable(lua_State *L, int idx, const char *name);

/* Pushes the metatable of that name with one metamethod, 'f'; what lack of
 * memory leaves of making it does not count. */
void lfb_push_metatable(lua_State *L, const char *name, const char *event,
                        lua_CFunction f);

/* Pushes the metatable; makes it that of the userdata at the top. */
void lfb_push_class(lua_State *L, lfb_class class);
void lfb_set_class(lua_State *L, lfb_class class);

/* Futures and executors, which are looked at in every call, are not known by
 * their metatables but by a mark, their last word, which costs less. */
enum { LFB_MARKED = 64 }; /* bytes that such a userdata has at most */
void lfb_mark(void *userdata, size_t size, lfb_class class);

/* The userdata at 'idx' if it is of the class, else NULL. */
void *lfb_test(lua_State *L, lfb_state *S, int idx, lfb_class class);

/* The same, or an argument error; for lfut's C functions. */
void *lfb_check(lua_State *L, int idx, lfb_class class);

#endif
