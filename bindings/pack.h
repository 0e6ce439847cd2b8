/* SPDX-License-Identifier: MIT
 *
 * Lua values as bytes (pack.c) and back (unpack.c).
 *
 * A stream is a count, that many values, then the bodies of the objects that
 * they name, in the order of the objects' numbers. An object (table, closure)
 * is a number wherever it occurs; only its first occurrence also says what it
 * is. So nothing is nested: cycles, sharing and depth need no care. Metatables
 * come last, when the tables have all their fields. What stands on its own (a
 * userdata's packed form; a class, unless its functions may share upvalues with
 * others) is a stream within the stream, with its length in front. */
#ifndef LFB_PACK_H
#define LFB_PACK_H

#include "state.h"

typedef enum {
  LFB_T_NIL,
  LFB_T_FALSE,
  LFB_T_TRUE,
  LFB_T_BYTE,    /* int8: a small integer */
  LFB_T_INTEGER, /* int64 */
  LFB_T_FLOAT,   /* double */
  LFB_T_SHORT,   /* uint8 length, bytes */
  LFB_T_STRING,  /* uint64 length, bytes */
  LFB_T_NAMED,   /* uint32 length, name (names.h) */
  LFB_T_STDIO,   /* uint8: 0 stdin, 1 stdout, 2 stderr */
  LFB_T_LOAN,    /* pointer to a loan: a long string (loan.h) */
  LFB_T_SHARED,  /* pointer to code: a closure without upvalues */
  LFB_T_LIBRARY, /* pointer to code */
  LFB_T_NATIVE,  /* the same; uint32: a C function of that library */
  LFB_T_POINTER, /* lfb_pointer */
  LFB_T_OBJECT,  /* uint32: one that occurred before */
  /* First occurrences; the object's number is the next one. */
  LFB_T_TABLE,      /* has a body */
  LFB_T_CLOSURE,    /* pointer to code; has a body */
  LFB_T_PICTURE,    /* uint32: a table that a forked worker has (picture.h) */
  LFB_T_CLASS,      /* identity, uint64 hash, uint64 length, stream */
  LFB_T_OPEN_CLASS, /* identity; has a body */
  LFB_T_SELF,       /* the table that this stream describes; has a body */
  LFB_T_HANDLE,     /* uint8 class, pointer */
  LFB_T_USERDATA,   /* uint64 length, stream: __lfut_unpack, packed form */
  /* In a table's body: values of 1, 2, 3, ..., then pairs. */
  LFB_T_FLOATS, /* uint32 count, doubles */
  LFB_T_PAIRS,  /* key, value; key, value; ...; LFB_T_END */
  LFB_T_END,
  /* In a closure's body: an upvalue. */
  LFB_T_ENV,
  LFB_T_JOIN, /* uint32 closure, uint8 index: shared with that one's */
} lfb_tag;

/* lfut's objects that travel as handles: userdata whose first word is a
 * pointer to something counted. */
typedef struct {
  lfb_class class;
  /* A reference for a buffer, which 'drop' gives back. */
  void (*ref)(void *object);
  void (*drop)(void *object);
  /* Pushes a userdata for it, taking a reference of its own. */
  void (*push)(lua_State *L, lfb_state *S, void *object);
} lfb_handle_class;

extern const lfb_handle_class lfb_handles[];

/* What the values are, for messages: "argument 2" of which the counting starts
 * at 'first'; and where they are to go: "to a worker", "back". */
typedef struct {
  const char *what;
  int first; /* number of the first value; 0: not counted; -1: the first value
                is the function, not an argument */
  const char *where;
  uint64_t number; /* with first 0: "item 3"; 0: none */
  bool home;       /* they go back to who has sent the task */
  lf_pool *wire;   /* not NULL: they go to another process, to or from a worker
                      of this pool */
} lfb_label;

extern const lfb_label lfb_arguments, lfb_results, lfb_error_value;

/* Appends the 'count' values from stack index 'first' on. Raises TransferError
 * with the path of what cannot travel, or a memory error; 'out' is then to be
 * reset by its owner. '*code' (may be NULL) receives a reference to the code
 * of the first value, if it is a Lua function. */
void lfb_pack(lua_State *L, lfb_state *S, lf_buf *out, int first, int count,
              const lfb_label *label, lf_code **code);

/* Pushes the values of the stream at '*at', which is moved behind it; returns
 * how many. With 'globals' (may be NULL) set, the captured globals are set and
 * *globals becomes a registry reference to a table of them by name, unless
 * there are none (LUA_NOREF). */
int lfb_unpack(lua_State *L, lfb_state *S, const unsigned char **at,
               int *globals);

#endif
