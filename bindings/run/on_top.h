/* SPDX-License-Identifier: MIT
 *
 * Tasks on top of another that waits and cannot be parked: it occupies its
 * worker, which runs on its C stack what nobody else can run. Only the worker's
 * thread calls these; 'w' NULL is allowed: there is none to run anything. */
#ifndef LFB_RUN_ON_TOP_H
#define LFB_RUN_ON_TOP_H

#include "bindings/run/run.h"

/* Is there stack enough for another task? */
bool lfb_has_stack(void);

/* Runs the awaited task itself, if it is pending and its turn would come on
 * this worker anyway. */
bool lfb_run_awaited(lf_worker *w, const lfb_wait_for *what);

/* While the worker is blocked: runs a task that was parked and became ready, or
 * that is for this worker alone. It may be what this one waits for, and nobody
 * else can. */
bool lfb_run_on_top(lf_worker *w);

/* One of the former, that is to be resumed, or NULL. */
lf_run *lfb_ready_on_top(lf_worker *w);

/* What a blocked task waits for while another is blocked on top of it: that
 * one, too. (Of several of which any would do, none is enough without it.) One
 * that can be parked is in nobody's way. */
typedef struct {
  lf_waits waits;
  lf_waits *own;
  lf_task *top;
  lf_task *task; /* the blocked one; NULL: there is none */
} lfb_cover;

/* The run (NULL: none) is about to be blocked, perhaps on top of another. */
void lfb_cover_begin(lfb_cover *cover, lfb_run *run, const lfb_wait_for *what);
void lfb_cover_end(lfb_cover *cover);

#endif
