/* SPDX-License-Identifier: MIT
 *
 * Queues as sources of parallel loops. */
#ifndef LFB_QUEUE_H
#define LFB_QUEUE_H

#include "compat.h"

/* Takes the first item of the queue (runtime/queue.h), waiting for it until the
 * deadline: 0, and it is pushed; LF_ETIMEOUT, LF_ECLOSED, LF_EFOREIGN,
 * LF_ENOMEM. Leaves other values below. Raises "interrupted!". */
int lfb_queue_take(lua_State *L, void *queue, int64_t deadline);

#endif
