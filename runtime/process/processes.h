/* SPDX-License-Identifier: MIT
 *
 * A pool whose workers are processes. */
#ifndef LF_PROCESS_PROCESSES_H
#define LF_PROCESS_PROCESSES_H

#include "runtime/pool/pool.h"

/* The new pool's workers are to be processes. Forks the one from which they
 * are forked, as the program is now: its interpreters have to stand still.
 * LF_EBROKEN: they cannot; 'why' (of 'size' bytes) tells. */
int lf_pool_processes(lf_pool *pool, char *why, size_t size);

/* Bytes that all workers, which are processes, get before any task that is
 * submitted from now on (ops->notice). They belong to 'owner', which is counted
 * by 'hold' and 'drop'. */
typedef struct {
  const lf_buf *bytes;
  void *owner;
  void (*hold)(void *owner);
  void (*drop)(void *owner);
} lf_notice;
void lf_pool_tell(lf_pool *pool, const lf_notice *notice);

/* What the pool's functions do then. */
int lf_processes_submit(lf_pool *pool, lf_task *task, lf_place place);
int lf_processes_broadcast(lf_pool *pool, lf_task **tasks);
void lf_processes_stat(lf_pool *pool, lf_pool_stats *stats);

#endif
