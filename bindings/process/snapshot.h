/* SPDX-License-Identifier: MIT
 *
 * Large tables that a script has loaded before it made a pool of forked
 * processes: they are in the workers already, as they were then. As long as
 * such a table has not changed since, functions that name it as a global or an
 * upvalue are sent without it. */
#ifndef LFB_PROCESS_SNAPSHOT_H
#define LFB_PROCESS_SNAPSHOT_H

#include "bindings/core/state.h"

typedef struct lfb_picture lfb_picture;

/* Takes down the large tables among the script's globals, and among the locals
 * and upvalues of the functions that are being called. Raises on lack of
 * memory; NULL: there are none. */
lfb_picture *lfb_picture_take(lua_State *L, lfb_state *S);
void lfb_picture_free(lfb_picture *picture); /* NULL is allowed */

/* In the program, when the script has let go of the pool: nothing will be sent
 * any more. NULL is allowed. */
void lfb_picture_forget(lua_State *L, lfb_picture *picture);

/* In a forked worker: its tables stay, whatever becomes of the variables. */
void lfb_picture_keep(lua_State *L, lfb_picture *picture);

/* The number of the table at the top if it is in the picture and has not
 * changed since, else -1. NULL is allowed. */
int lfb_picture_find(lua_State *L, lfb_state *S, lfb_picture *picture);

/* In the worker: pushes the table; false: there is none with the number. */
bool lfb_picture_push(lua_State *L, lfb_picture *picture, uint32_t number);

#endif
