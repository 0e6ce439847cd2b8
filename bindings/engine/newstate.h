/* SPDX-License-Identifier: MIT
 *
 * A new interpreter for a worker, whose memory is counted as the runtime's. */
#ifndef LFB_ENGINE_NEWSTATE_H
#define LFB_ENGINE_NEWSTATE_H

#include "bindings/engine/compat.h"

/* Its warn(); in memory that lasts as long as the interpreter. */
typedef struct {
  bool on;     /* they are shown */
  bool middle; /* of a message in several parts */
} lfb_warnings;

/* NULL: no memory. */
lua_State *lfb_newstate(lfb_warnings *warnings);

#endif
