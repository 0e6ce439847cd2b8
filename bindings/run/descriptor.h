/* SPDX-License-Identifier: MIT
 *
 * lfut.wait_fd: waiting for descriptors (runtime/os/poller.h). */
#ifndef LFB_RUN_DESCRIPTOR_H
#define LFB_RUN_DESCRIPTOR_H

#include "bindings/engine/compat.h"

/* lfut.wait_fd(fd | object, "r" | "w" | "rw" [, timeout]) -> "r", "w" or "rw";
 * nil, "timeout"; nil, "closed" */
int lfb_wait_fd(lua_State *L);

/* The same for scripts that have tried before, and try again: without a look.
 */
int lfb_wait_after(lua_State *L);

/* closing(fd | object): it is about to be closed; who waits for it is told. For
 * scripts. */
int lfb_closing(lua_State *L);

#endif
