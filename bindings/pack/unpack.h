/* SPDX-License-Identifier: MIT
 *
 * Packed values (pack.h) as values of this interpreter. What other processes
 * have written is not trusted. */
#ifndef LFB_PACK_UNPACK_H
#define LFB_PACK_UNPACK_H

#include "bindings/core/state.h"

/* Pushes the values of the stream at '*at', an offset in the buffer that is
 * moved behind it; returns how many. Raises TransferError
 * if it is nonsense. With 'globals' (may be NULL)
 * set, the captured globals are set and *globals becomes a registry reference
 * to a table of them by name, unless there are none (LUA_NOREF). The buffer is
 * not to change meanwhile. */
int lfb_unpack(lua_State *L, lfb_state *S, const lf_buf *buf, size_t *at,
               int *globals);

#endif
