/* SPDX-License-Identifier: MIT
 *
 * lfut.ProcessPoolExecutor: an executor (pool/executor.h) whose workers are
 * processes. */
#ifndef LFB_PROCESS_PROCESS_POOL_H
#define LFB_PROCESS_PROCESS_POOL_H

#include "bindings/core/state.h"

/* lfut.ProcessPoolExecutor([max_workers | options]) */
int lfb_process_pool_executor(lua_State *L);

/* The program lfut, to be spawned; a new string. Raises if it cannot be found.
 */
char *lfb_program_path(lua_State *L);

#endif
