/* SPDX-License-Identifier: MIT
 *
 * lfut.Queue; queues as sources of parallel loops. */
#ifndef LFB_SYNC_QUEUE_H
#define LFB_SYNC_QUEUE_H

#include "bindings/core/state.h"

void lfb_queue_open(lua_State *L, lfb_state *S);

/* lfut.Queue([maxsize]) */
int lfb_queue(lua_State *L);

/* The queue at 'idx' (runtime/sync/queue.h), or NULL. */
struct lf_queue *lfb_test_queue(lua_State *L, int idx);

/* Takes the first item of the queue (runtime/sync/queue.h), waiting for it
 * until the deadline: 0, and it is pushed; LF_ETIMEOUT, LF_ECLOSED,
 * LF_EFOREIGN, LF_EDAMAGED, LF_ENOMEM. Raises "interrupted!". */
int lfb_queue_take(lua_State *L, struct lf_queue *queue, int64_t deadline);

/* Raises what such an error means; 'kind': of a timeout. */
int lfb_queue_raise(lua_State *L, int err, const char *kind);

#endif
