/* SPDX-License-Identifier: MIT
 *
 * A Lua function as bytes. */
#ifndef LFB_ENGINE_DUMP_H
#define LFB_ENGINE_DUMP_H

#include "bindings/engine/compat.h"
#include "runtime/base/buf.h"

/* Appends the function at the top; 'strip': without names and lines. Not 0: no
 * memory. May raise, for lack of memory, too; runs no finalizer. */
int lfb_dump(lua_State *L, lf_buf *out, bool strip);

#endif
