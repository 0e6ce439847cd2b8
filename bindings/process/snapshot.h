/* SPDX-License-Identifier: MIT
 *
 * Large tables that a script has loaded before it made a pool of forked
 * processes: they are in the workers already, as they were then. As long as
 * such a table has not changed since, functions that name it as a global or an
 * upvalue are sent without it. */
#ifndef LFB_PROCESS_SNAPSHOT_H
#define LFB_PROCESS_SNAPSHOT_H

#include "bindings/pack/reach.h"

/* Takes down the large tables among the script's globals, and among the locals
 * and upvalues of the functions that are being called. Raises on lack of
 * memory; NULL: there are none. */
lfb_known *lfb_snapshot_take(lua_State *L, lfb_state *S);

/* In a forked worker, of the snapshot that its program has taken (NULL: none):
 * its tables stay, whatever becomes of the variables, and are LFB_REF_SNAPSHOT.
 */
void lfb_snapshot_keep(lua_State *L, lfb_known *known);

#endif
