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

/* The back end; its options are max_tasks, program and greeting. */
extern const lf_backend lf_processes_backend;

#endif
