/* SPDX-License-Identifier: MIT
 *
 * What the calling thread spends its time on: one thing at a time, as on a
 * stack. Each change looks at the clock once, and charges the time since the
 * last one to what was on top: to its times, and, if there is a trace, as a
 * slice of the thread's line. So slices never overlap, and their sums are the
 * times. */
#ifndef LF_TRACE_METER_H
#define LF_TRACE_METER_H

#include "runtime/trace/trace.h"

/* Storage of who enters it; stays where it is until it is left. */
typedef struct lf_metered {
  struct lf_metered *below;
  lf_times *times;  /* or NULL */
  lf_code *code;    /* or NULL */
  const char *name; /* instead of the function's, or NULL; stays */
  uint64_t flow;    /* the task's number for the trace, or 0 */
  char step;        /* that the next slice is of its way, or 0 */
  lf_phase phase;
} lf_metered;

extern _Thread_local lf_metered *lf_metered_now;

/* The thread turns to that; returns what it was at before, which goes on when
 * this is left. */
void lf_meter_enter(lf_metered *what);
void lf_meter_leave(lf_metered *what);

/* What is on top, if anything is, goes on with another phase, and step. */
void lf_meter_turn(lf_phase phase, char step);

#endif
