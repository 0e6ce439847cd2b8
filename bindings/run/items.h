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
  LFB_ITEM_ERROR,   /* a stream of one value; uint32 length, traceback */
  LFB_ITEM_INTEGER, /* one result, a lua_Integer */
  LFB_ITEM_FLOAT,   /* a lua_Number */
} lfb_entry;

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
