/* SPDX-License-Identifier: MIT
 *
 * lfut.Pool and lfut.ThreadPool: the module "lfut.pool", which is
 * scripts/pool.lua, loaded when it is first used. */
#ifndef LFB_PROGRAM_POOLS_H
#define LFB_PROGRAM_POOLS_H

#include "bindings/core/state.h"

/* Puts the module where require finds it, by which its classes travel. */
void lfb_pools_open(lua_State *L);

/* lfut.Pool([processes | options]), lfut.ThreadPool([processes | options]) */
int lfb_pool(lua_State *L);
int lfb_thread_pool(lua_State *L);

#endif
