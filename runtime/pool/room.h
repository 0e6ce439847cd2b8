/* SPDX-License-Identifier: MIT
 *
 * How many tasks may wait in a pool (max_queue): who submits one takes a place
 * for it, which is given back when it begins or ends. Any thread, and also
 * under the pool's lock. */
#ifndef LF_POOL_ROOM_H
#define LF_POOL_ROOM_H

#include "runtime/pool/pool.h"

/* Is there a limit, and has it been reached? */
bool lf_room_is_limited(const lf_pool *pool);
bool lf_room_is_full(const lf_pool *pool);

/* A place; false if there is none, unless it is taken 'anyway'. */
bool lf_room_take(lf_pool *pool, bool anyway);
void lf_room_give(lf_pool *pool);

/* '*task' is a running task, with a reference, that is finished when it may be
 * worth while to try again; NULL: it is so now. LF_ENOMEM. */
int lf_room_await(lf_pool *pool, lf_task **task);

/* Those who wait are to look again: the pool takes no more tasks. */
void lf_room_tell(lf_pool *pool);

#endif
