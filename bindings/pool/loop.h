/* SPDX-License-Identifier: MIT
 *
 * What the consumer of a parallel loop knows: the source from which items are
 * pulled, the loop (runtime/pool/loop.h) that has them run, and the chunk whose
 * results are being read. Private to this folder; one
 * interpreter's. */
#ifndef LFB_POOL_LOOP_H
#define LFB_POOL_LOOP_H

#include "bindings/pool/progress.h"
#include "bindings/pool/source.h"
#include "bindings/run/items.h"
#include "bindings/run/watch.h"
#include "runtime/os/clock.h"
#include "runtime/pool/loop.h"

/* User values of the userdata. */
enum {
  LFB_LOOP_EXECUTOR = 1,
  LFB_LOOP_SOURCE,
  LFB_LOOP_SOURCE_ERROR,
  LFB_LOOP_PROGRESS, /* the function that is told */
  LFB_LOOP_VALUES = LFB_LOOP_PROGRESS
};

/* What there is to be had of the source.
 *
 *   NEW -> OPEN       something has been, or could have been, supplied
 *   OPEN <-> PULLING  it is being asked for items
 *   OPEN -> FAILED    the user value LFB_LOOP_SOURCE_ERROR is to be raised at
 *                     the end, which is known */
typedef enum {
  LFB_SUPPLY_NEW,
  LFB_SUPPLY_OPEN,
  LFB_SUPPLY_PULLING,
  LFB_SUPPLY_FAILED
} lfb_supply;

typedef struct {
  lf_loop *loop;                 /* a reference */
  const struct lfb_reach *reach; /* of the items */
  lfb_source source;
  bool star; /* each item is a table of arguments */
  lfb_sink sink;
  const char *method;           /* the name under which a script knows it, */
  char source_name[LUA_IDSIZE]; /* and where it has called it */
  int line;
  bool protected;
  lfb_supply supply;
  bool ended;
  uint64_t buffersize; /* 0: automatic */
  uint64_t pulled;     /* items given to the loop */
  uint64_t consumed;   /* items whose results have been taken */
  int64_t deadline;
  bool folded;       /* reduce has a value */
  bool caught_up;    /* past it, all that had come has been taken */
  lf_chunk *chunk;   /* being read, or NULL */
  lf_chunk *reading; /* the same while an entry is unpacked: a finalizer may
                        leave the loop meanwhile. After an error in that it
                        stays, and the loop is at its end */
  const unsigned char *at; /* its next entry */
  uint64_t read;           /* entries read */
  lfb_meter meter;
} lfb_loop;

/* Do the workers find their items by their numbers, in a range or an array? */
static inline bool lfb_loop_is_indexed(const lfb_loop *l) {
  return !l->star &&
         (l->source.kind == LFB_RANGE || l->source.kind == LFB_ELEMENTS);
}

/* Pushes the loop over the items at 3 with the function at 2 of the executor at
 * 1, and lets the workers begin. 'star': each item is a table of arguments;
 * 'combine', 'opts': where these are, 0 for none. Raises. */
lfb_loop *lfb_loop_push(lua_State *L, bool star, lfb_sink sink, int combine,
                        int opts);

int lfb_loop_gc(lua_State *L);

/* An InlineExecutor has no workers: runs the next chunk; false if there is
 * none. */
bool lfb_loop_run_chunk(lua_State *L, lfb_loop *l, int self);

/* What came of asking for the next chunk, if it is not less than 0: LFB_NOT_YET
 * or LFB_PARKED, for a step to return (run/wait.h). */
typedef enum {
  LFB_READY,  /* it is in l->chunk */
  LFB_END,    /* there are no more */
  LFB_STOPPED /* nor will there be: *why tells */
} lfb_progress;

/* For steps: asks for the next chunk. Raises TimeoutError. */
int lfb_loop_next(lua_State *L, lfb_loop *l, int self, lf_stop *why,
                  lfb_wait_for *what);

/* So many items are done: tells who wants to know; if that raises, so does
 * this, and the loop is closed. */
void lfb_loop_tell(lua_State *L, lfb_loop *l, int self, uint64_t done);

/* The same for one of which all is wanted at once: what has been done, whether
 * its turn has come or not; and in a step that has to wait, which is tried
 * again soon. */
void lfb_loop_tell_done(lua_State *L, lfb_loop *l, int self);
static inline int lfb_loop_look_again(const lfb_loop *l, int how,
                                      lfb_wait_for *what) {
  if (l->meter.on)
    what->again = lf_now() + LFB_METER_NS;
  return how;
}

/* The same: all items are, unless the source has failed. */
void lfb_loop_tell_all(lua_State *L, lfb_loop *l, int self);

/* Nothing more is claimed; what runs is stopped, or not. Nothing more is told.
 */
void lfb_loop_close(lua_State *L, lfb_loop *l, bool running);

/* The loop has ended: pushes the error of the source or the pool by which it
 * did, or nothing (false). */
bool lfb_loop_push_end(lua_State *L, lfb_loop *l, int self, int how,
                       const lf_stop *why);

#endif
