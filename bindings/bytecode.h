/* SPDX-License-Identifier: MIT
 *
 * What a dumped Lua function says about itself: the globals that it names. */
#ifndef LFB_BYTECODE_H
#define LFB_BYTECODE_H

#include <stddef.h>

/* Names, each with a zero behind it. One block of memory. */
typedef struct {
  size_t count;
  char names[]; /* NUL-terminated, one after the other */
} lfb_globals;

/* Reads the bytes of a function as lua_dump wrote them; the result is for
 * lf_free. NULL when it names no globals, or for lack of memory, or when the
 * bytes are not understood. Pure; any thread. */
void *lfb_bytecode_globals(const void *bytes, size_t len);

#endif
