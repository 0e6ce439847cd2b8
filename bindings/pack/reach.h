/* SPDX-License-Identifier: MIT
 *
 * How far packed values are to go: what may stay where it is, what has to be
 * told, and what the other side has already. */
#ifndef LFB_PACK_REACH_H
#define LFB_PACK_REACH_H

#include "bindings/core/state.h"

/* Large tables that the workers of a pool have had from their beginning, by
 * number. First member of what knows them; only the program's thread calls. */
typedef struct lfb_known {
  /* The number of the table at the top if the workers have it as it is now,
   * else -1. */
  int (*find)(lua_State *L, lfb_state *S, struct lfb_known *known);
  /* The script has let go of the pool: nothing will be sent any more. */
  void (*forget)(lua_State *L, struct lfb_known *known);
  void (*free)(struct lfb_known *known);
} lfb_known;

typedef enum {
  LFB_REACH_PROCESS, /* they stay in this process, but for longer than a call */
  LFB_REACH_ANYWHERE, /* any process is to understand them */
  LFB_REACH_POOL,     /* to a worker process of the pool, or back from it */
  LFB_REACH_CLUSTER,  /* the same, on any machine: nothing is shared */
} lfb_reach_kind;

/* NULL in its place: within this process, while somebody waits for them. */
typedef struct lfb_reach {
  lfb_reach_kind kind;
  lf_pool *pool;    /* of the last two; NULL: its workers are to come */
  lfb_known *known; /* may be NULL */
  bool futures;     /* with CLUSTER: those of the pool may go along */
} lfb_reach;

extern const lfb_reach lfb_reach_process, lfb_reach_anywhere, lfb_reach_cluster;

/* To another process, maybe? */
static inline bool lfb_reach_is_far(const lfb_reach *reach) {
  return reach && reach->kind != LFB_REACH_PROCESS;
}

/* For a handle: its objects can go everywhere on this machine. */
bool lfb_reach_machine(const lfb_reach *reach, const void *object);

#endif
