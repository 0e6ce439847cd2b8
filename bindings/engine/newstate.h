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

/* How many bytes an interpreter has. Some versions do not know it themselves:
 * strings may lie outside of what they count. */
typedef struct {
  size_t bytes;
  lua_Alloc alloc; /* its own */
  void *ud;
} lfb_heap;

/* Has what is allocated from now on counted there, which has to stay. */
void lfb_heap_begin(lua_State *L, lfb_heap *heap);
size_t lfb_heap_bytes(lua_State *L, const lfb_heap *heap);

/* NULL: no memory. */
lua_State *lfb_newstate(lfb_warnings *warnings);

#endif
