/* SPDX-License-Identifier: MIT
 *
 * What a parallel loop and its chunks tell each other, packed: what is to be
 * done, and what has come of the items. */
#ifndef LFB_RUN_ITEMS_H
#define LFB_RUN_ITEMS_H

#include <lua.h>
#include <string.h>

#include "runtime/base/buf.h"

/* What becomes of the items' results. */
typedef enum { LFB_MAPPED, LFB_EACH, LFB_FOLD } lfb_sink;

/* Entries of a chunk's output. */
typedef enum {
  LFB_ITEM_RESULT,  /* a stream */
  LFB_ITEM_ERROR,   /* a stream of one value; an lfb_error_tail; traceback */
  LFB_ITEM_INTEGER, /* one result, a lua_Integer */
  LFB_ITEM_FLOAT,   /* a lua_Number */
} lfb_entry;

/* Which item has failed, counted from 0, and how long the traceback is. */
typedef struct {
  uint64_t item;
  uint64_t len;
} lfb_error_tail;

/* Appends what follows the value of an error; 'trace' may be NULL. 0 or
 * LF_ENOMEM. */
static inline int lfb_put_error_tail(lf_buf *out, uint64_t item,
                                     const char *trace) {
  lfb_error_tail tail = {item, trace ? strlen(trace) : 0};
  int err = lf_buf_put(out, &tail, sizeof tail);
  return err || !trace ? err : lf_buf_put(out, trace, tail.len);
}

/* Appends an entry with the 8 bytes of a number. 0 or LF_ENOMEM. */
static inline int lfb_put_number(lf_buf *out, lfb_entry kind,
                                 const void *number) {
  unsigned char *at = lf_buf_room(out, 1 + sizeof(lua_Number));
  if (!at)
    return LF_ENOMEM;
  at[0] = (unsigned char)kind;
  memcpy(at + 1, number, sizeof(lua_Number));
  return 0;
}

/* A loop's setup, packed as a stream of these values. */
enum {
  LFB_SETUP_FUNCTION = 1,
  LFB_SETUP_SINK,
  LFB_SETUP_FIRST, /* of a range; an array; nil: the items are packed */
  LFB_SETUP_STEP,
  LFB_SETUP_SEED,    /* or nil */
  LFB_SETUP_COMBINE, /* or nil */
  LFB_SETUP_COUNT = LFB_SETUP_COMBINE
};

#endif
