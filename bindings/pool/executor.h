/* SPDX-License-Identifier: MIT
 *
 * Executors, as scripts see them. */
#ifndef LFB_POOL_EXECUTOR_H
#define LFB_POOL_EXECUTOR_H

#include "bindings/run/run.h"

/* The userdata. A pool is in an interpreter at most once. */
typedef struct {
  lf_pool *pool;    /* a reference, and a handle unless 'inside' */
  bool inside;      /* in one of the pool's own workers */
  struct lf_vm *vm; /* InlineExecutor: the interpreter, opened at the first
                       task; owned unless 'inside' */
  const void *mark; /* state.h; the last */
} lfb_executor;

void lfb_executor_open(lua_State *L, lfb_state *S);

int lfb_thread_pool_executor(lua_State *L);
int lfb_process_pool_executor(lua_State *L);
int lfb_inline_executor(lua_State *L);

/* For the label of what is packed for the pool's workers. */
const struct lfb_reach *lfb_reach_to(lf_pool *pool);

lfb_executor *lfb_check_executor(lua_State *L, int idx);

/* Raises if the pool takes no more tasks. */
void lfb_check_accepts(lua_State *L, lf_pool *pool);

/* An InlineExecutor's interpreter; raises if it cannot be opened. */
struct lf_vm *lfb_inline_vm(lua_State *L, lfb_state *S, lfb_executor *exe);

#endif
