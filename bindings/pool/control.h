/* SPDX-License-Identifier: MIT
 *
 * What a script says about the tasks that it submits: limits, a priority. */
#ifndef LFB_POOL_CONTROL_H
#define LFB_POOL_CONTROL_H

#include "bindings/pack/packer.h"
#include "bindings/pack/unpacker.h"
#include "bindings/pool/executor.h"
#include "runtime/pool/limits.h"

/* What the options of a constructor in the table at 'idx' say of all tasks: a
 * reference; NULL: nothing. 'retries' if they do not say how many. Raises for
 * values that cannot be. */
lf_limits *lfb_executor_limits(lua_State *L, int idx, uint64_t retries);

/* For the class of executors: what is sent besides the handle. One that has
 * come is a view, if it was one, or has these limits from now on. */
void lfb_limits_pack(lua_State *L, lfb_packer *P);
void lfb_limits_unpack(lua_State *L, lfb_unpacker *U);

/* Adds the method 'options' to executors. */
void lfb_control_open(lua_State *L, lfb_state *S);

#endif
