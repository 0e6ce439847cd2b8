/* SPDX-License-Identifier: MIT
 *
 * Lua values as bytes (pack.c) and back (unpack.c).
 *
 * A stream is a count, that many values, and, if these are not plain, what
 * follows them. An object (table, closure) is a number wherever it occurs; only
 * its first occurrence also says what it is. What is in it, its body, comes
 * later, in the order of the numbers. So nothing is nested: cycles, sharing and
 * depth need no care. Behind the values come
 *
 *   - the bodies of the objects so far, and of those that occur in them;
 *   - segments: each describes one class, or has captured globals, and the
 *     bodies of the objects that occur in it for the first time;
 *   - which tables have which metatables, set when all have their fields;
 *   - which tables are to be recognised when they come home.
 *
 * A class is a table that is used as a metatable. It has an identity
 * (identity.h) wherever it occurs, and is described once in a stream, with a
 * version: a hash of all that is said there, if it shares nothing with the rest
 * of the stream and has nothing in it that a task could change but itself. Who
 * has the same version may then skip the description.
 *
 * A userdata's packed form is a stream within the stream. */
#ifndef LFB_PACK_PACK_H
#define LFB_PACK_PACK_H

#include "bindings/core/state.h"
#include "bindings/pack/reach.h"

typedef enum {
  LFB_T_NIL,
  LFB_T_FALSE,
  LFB_T_TRUE,
  LFB_T_BYTE,     /* int8: a small integer */
  LFB_T_INTEGER,  /* int64 */
  LFB_T_FLOAT,    /* double */
  LFB_T_SHORT,    /* uint8 length, bytes */
  LFB_T_STRING,   /* uint64 length, bytes */
  LFB_T_NAMED,    /* uint32 length, name (names.h) */
  LFB_T_STDIO,    /* uint8: 0 stdin, 1 stdout, 2 stderr */
  LFB_T_BORROW,   /* pointer to a borrow: a long string (borrow.h) */
  LFB_T_INSTANCE, /* uint8 class, what its 'pack' says; no object */
  LFB_T_BOXED,    /* uint8 length, text of an integer; no object */
  LFB_T_LIST,   /* uint32 n, uint64 length and stream each: a table of the first
                   values of n streams; no object */
  LFB_T_LONE,   /* as LFB_T_BARE; no other place in the stream has it */
  LFB_T_OBJECT, /* uint32: one that occurred before */
  LFB_T_CLASS,  /* identity */
  /* First occurrences, as is LFB_T_LONE; the object's number is the next one.
   */
  LFB_T_TABLE,    /* uint32 uint32: sizes; has a body */
  LFB_T_CLOSURE,  /* pointer to code; has a body */
  LFB_T_BARE,     /* pointer to code: all upvalues are _ENV */
  LFB_T_SNAPSHOT, /* uint32: a table that a forked worker has (snapshot.h) */
  LFB_T_HANDLE,   /* uint8 class, pointer */
  LFB_T_USERDATA, /* uint64 length, stream: packed form, __lfut_unpack */
  /* Bodies. Of a table: values of 1, 2, 3, ..., then pairs, whose keys may
   * have numbers. */
  LFB_T_NONE,    /* that of an object without a body */
  LFB_T_FLOATS,  /* uint32 count, doubles */
  LFB_T_NEW_KEY, /* uint8 length, bytes: its number is the next one */
  LFB_T_KEY,     /* uint8 */
  LFB_T_PAIRS,   /* key, value; key, value; ...; LFB_T_END */
  LFB_T_END,
  /* Of a closure: its upvalues; LFB_T_END. */
  LFB_T_ENV,
  LFB_T_JOIN, /* uint32 closure, uint8 index: shared with that one's */
  /* Segments; LFB_T_END behind the last. */
  LFB_T_SEGMENT, /* of a class: lfb_segment; its metatable or nil; its body from
                    LFB_T_PAIRS on; bodies */
  LFB_T_ALIAS,   /* the same; identity; uint32: it is that object */
  LFB_T_GLOBALS, /* name, value; ...; LFB_T_END; bodies */
} lfb_tag;

enum { LFB_IDENTITY = 16 }; /* identity.h */

/* The description of a class. */
typedef struct {
  unsigned char identity[LFB_IDENTITY];
  uint64_t version; /* 0: not to be skipped */
  uint64_t len;     /* bytes of what follows */
  uint32_t objects; /* that occur in it for the first time */
} lfb_segment;

/* What the values are, for messages: "argument 2" of which the counting starts
 * at 'first'; and where they are to go: "to a worker", "back". */
typedef struct {
  const char *what;
  int first; /* number of the first value; 0: not counted; -1: the first value
                is the function, not an argument */
  const char *where;
  uint64_t number;        /* with first 0: "item 3"; 0: none */
  bool returning;         /* they go back to who has sent the task */
  const lfb_reach *reach; /* how far they go; may be NULL */
} lfb_label;

extern const lfb_label lfb_arguments, lfb_results, lfb_error_value;

/* Appends the 'count' values from stack index 'first' on. Raises TransferError
 * with the path of what cannot travel, or a memory error; 'out' is then to be
 * reset by its owner. '*code' (may be NULL) receives a reference to the code
 * of the first value, if it is a Lua function. */
void lfb_pack(lua_State *L, lfb_state *S, lf_buf *out, int first, int count,
              const lfb_label *label, lf_code **code);

#endif
