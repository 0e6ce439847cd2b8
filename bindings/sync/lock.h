/* SPDX-License-Identifier: MIT
 *
 * lfut.Lock, RLock, Semaphore, BoundedSemaphore, Condition: what is acquired
 * and released. */
#ifndef LFB_SYNC_LOCK_H
#define LFB_SYNC_LOCK_H

#include "bindings/core/state.h"

void lfb_lock_open(lua_State *L, lfb_state *S);

/* lfut.Lock() */
int lfb_lock(lua_State *L);

/* lfut.RLock() */
int lfb_rlock(lua_State *L);

/* lfut.Semaphore([value]) */
int lfb_semaphore(lua_State *L);

/* lfut.BoundedSemaphore([value]) */
int lfb_bounded_semaphore(lua_State *L);

/* lfut.Condition([lock]) */
int lfb_condition(lua_State *L);

#endif
