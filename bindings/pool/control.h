/* SPDX-License-Identifier: MIT
 *
 * What a script says about the tasks that it submits: limits, a priority. */
#ifndef LFB_POOL_CONTROL_H
#define LFB_POOL_CONTROL_H

#include "bindings/pool/executor.h"
#include "runtime/pool/limits.h"

/* The limits that the options in the table at 'idx' say, in addition to those
 * in 'former' (may be NULL); NULL: none, also of those. Options with other
 * names are not looked at. Raises for values that cannot be. */
lf_limits *lfb_read_limits(lua_State *L, int idx, const lf_limits *former);

/* Do they say more than a priority, which loops can have, too? */
bool lfb_limits_are_of_tasks(const lf_limits *limits);

/* Adds the method 'options' to executors. */
void lfb_control_open(lua_State *L, lfb_state *S);

#endif
