/* SPDX-License-Identifier: MIT
 *
 * lfut.wait_fd: waiting for descriptors (runtime/os/poller.h). */
#ifndef LFB_RUN_DESCRIPTOR_H
#define LFB_RUN_DESCRIPTOR_H

#include "bindings/core/state.h"

/* Descriptors that travel between the workers of a process: each value is a
 * handle of the same, which is closed when nobody has it any more. */
void lfb_descriptor_open(lua_State *L, lfb_state *S);

/* hold(fd) -> a handle of a duplicate; take(fd, handle): 'fd' is the same from
 * now on; release(handle): it is none any more. For scripts. */
int lfb_hold_descriptor(lua_State *L);
int lfb_take_descriptor(lua_State *L);
int lfb_release_descriptor(lua_State *L);

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
