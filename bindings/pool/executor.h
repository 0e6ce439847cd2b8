/* SPDX-License-Identifier: MIT
 *
 * Executors, as scripts see them. */
#ifndef LFB_POOL_EXECUTOR_H
#define LFB_POOL_EXECUTOR_H

#include "bindings/run/run.h"
#include "bindings/worker/setup.h"

/* The userdata. A pool is in an interpreter at most once. */
typedef struct lfb_executor {
  lf_pool *pool;    /* a reference, and a handle unless 'inside' */
  bool inside;      /* in one of the pool's own workers */
  bool limited;     /* the pool has room for some tasks only (room.h) */
  struct lf_vm *vm; /* InlineExecutor: the interpreter, opened at the first
                       task; owned unless 'inside' */
  struct lf_limits *limits;  /* of its tasks: a reference, or NULL */
  struct lfb_executor *base; /* of which it is a view, kept by a user value; or
                                NULL */
  const void *mark;          /* state.h; the last */
} lfb_executor;

/* Pushes a view of the executor at 'idx', as yet without limits. */
lfb_executor *lfb_push_view(lua_State *L, lfb_state *S, int idx);

void lfb_executor_open(lua_State *L, lfb_state *S);

/* The constructor's options, on the stack, as they are checked already. */
enum {
  LFB_NAME = 2,
  LFB_INITIALIZER,
  LFB_INITARGS,
  LFB_FINALIZER,
  LFB_START_METHOD,
  LFB_MAX_TASKS,
  LFB_MAX_QUEUE,
  LFB_MAX_RUNNING,
  LFB_URL,
  LFB_RECONNECT
};

/* In what the executors differ that a script can make. */
typedef struct {
  const char *name;          /* of its workers, for lfut.worker() */
  const lf_backend *backend; /* who runs the tasks */
  int more;         /* workers than there are CPUs, if no number is given */
  uint64_t retries; /* the same; of a task that is lost */
  const lfb_reach *reach; /* to the workers; NULL: they are in this process */
  /* What else goes into the setup and the options; may be NULL. Raises. */
  void (*prepare)(lua_State *L, lfb_state *S, lfb_setup *setup,
                  lf_pool_options *options);
  /* Has the pool's workers started, if not each when it is needed; may be NULL.
   * Raises. */
  void (*start)(lua_State *L, lfb_state *S, lf_pool *pool);
} lfb_kind;

/* The constructor of a kind, [max_workers | options]. */
int lfb_executor_new(lua_State *L, const lfb_kind *kind);

/* lfut.ThreadPoolExecutor([max_workers | options]) */
int lfb_thread_pool_executor(lua_State *L);

/* lfut.AsyncExecutor([max_workers | options]) */
int lfb_async_executor(lua_State *L);

/* For the label of what is packed for the pool's workers. */
const struct lfb_reach *lfb_reach_to(lf_pool *pool);

lfb_executor *lfb_check_executor(lua_State *L, int idx);

/* Raises if the pool takes no more tasks. */
void lfb_check_accepts(lua_State *L, lf_pool *pool);

#endif
