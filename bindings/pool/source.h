/* SPDX-License-Identifier: MIT
 *
 * Where the items of a parallel loop come from: a table, an array, a queue, a
 * range, a zip of several, an iterator function. */
#ifndef LFB_POOL_SOURCE_H
#define LFB_POOL_SOURCE_H

#include "bindings/core/state.h"

typedef enum {
  LFB_TABLE,
  LFB_RANGE,
  LFB_ELEMENTS, /* of an lfut.Array */
  LFB_ZIP,
  LFB_FUNCTION,
  LFB_ITEMS, /* of an lfut.Queue, until it is closed and drained */
} lfb_source_kind;

/* For messages. */
#define LFB_SOURCES "table, array, queue, range, zip, text or iterator function"

typedef struct {
  lfb_source_kind kind;
  bool at_call; /* all items are read at the call */
  bool known;   /* 'total' is */
  uint64_t total;
  uint64_t next; /* items read */
  bool floats;   /* a range of floats */
  bool waits;    /* a queue: for the next item, as it is part of a zip */
  lua_Integer first, step;
  lua_Number ffirst, fstep;
} lfb_source;

/* Registers what lfut.range and lfut.zip return; expects the module at the
 * top. */
void lfb_source_open_types(lua_State *L, lfb_state *S);

/* lfut.range(n), lfut.range(first, last [, step]) */
int lfb_range(lua_State *L);

/* lfut.zip(a, b, ...) */
int lfb_zip(lua_State *L);

/* An argument error if what is at 'idx' looks like a source, but is none: what
 * pairs returns, a table that is no list. */
void lfb_check_source(lua_State *L, int idx);

/* What is at 'idx' as a source, or an argument error. Pushes a value to be kept
 * as long as the source, and given to lfb_source_next. */
void lfb_source_open(lua_State *L, int idx, lfb_source *source);

/* Pushes the next item's values, for the source kept at 'kept'; returns how
 * many, 0 at the end, -1 if a queue has none now. Raises what an iterator
 * function raises. */
int lfb_source_next(lua_State *L, lfb_source *source, int kept);

#endif
