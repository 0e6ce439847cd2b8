/* SPDX-License-Identifier: MIT
 *
 * A worker's part of a parallel loop: chunks of items, run by the drivers of
 * scripts/drivers.lua. */
#ifndef LFB_WORKER_CHUNK_H
#define LFB_WORKER_CHUNK_H

#include "bindings/worker/vm.h"

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

/* A job's setup, packed as a stream of these values. */
enum {
  LFB_SETUP_FUNCTION = 1,
  LFB_SETUP_SINK,
  LFB_SETUP_FIRST, /* of a range; an array; nil: the items are packed */
  LFB_SETUP_STEP,
  LFB_SETUP_SEED,    /* or nil */
  LFB_SETUP_COMBINE, /* or nil */
  LFB_SETUP_COUNT = LFB_SETUP_COMBINE
};

/* Loads the drivers, unless they are there. */
void lfb_part_open(lua_State *L);

/* A runner: claims a chunk and runs it; ends the task. */
void lfb_part_run(struct lf_vm *vm, lf_task *task);

/* For vm.c: runs what is left of the run's chunk, in its coroutine. */
int lfb_part_body(lua_State *L);

/* The coroutine has ended, maybe with an error at its top: notes that. */
void lfb_part_note(lfb_run *run, bool ok);

/* Is lfb_part_body to be called again? Else the chunk and the run are done. */
bool lfb_part_more(lfb_run *run);

#endif
