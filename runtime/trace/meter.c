/* SPDX-License-Identifier: MIT
 *
 * See meter.h. */
#include "runtime/trace/meter.h"

#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

enum {
  SHORT_NS = 1000
}; /* such slices are not worth their place in a trace,
      but for those that are the task itself */

_Thread_local lf_metered *lf_metered_now;
static _Thread_local int64_t mark;

static bool is_worth(const lf_metered *m, int64_t ns) {
  return ns >= SHORT_NS || m->step || m->phase == LF_PHASE_RUN ||
         m->phase == LF_PHASE_NATIVE;
}

static void charge(lf_metered *m, int64_t now) {
  int64_t ns = now - mark;
  if (m->times)
    m->times->ns[m->phase] += ns;
  if (lf_is_traced() && is_worth(m, ns)) {
    lf_trace_slice(mark, ns, m->phase, m->code, m->name, m->step, m->flow);
    m->step = 0;
  }
}

/* Charges the time to what was on top. */
static void change(void) {
  int64_t now = lf_now();
  if (lf_metered_now)
    charge(lf_metered_now, now);
  mark = now;
}

/* What is on top now has begun, or goes on. */
static void show(void) {
  const lf_metered *m = lf_metered_now;
  if (!lf_is_traced())
    return;
  if (m)
    lf_trace_open(mark, m->phase, m->code, m->name, m->step, m->flow);
  else
    lf_trace_open(0, LF_PHASE_RUN, NULL, NULL, 0, 0);
}

void lf_meter_enter(lf_metered *what) {
  change();
  if (what->times && !what->times->begun)
    what->times->begun = mark;
  what->below = lf_metered_now;
  lf_metered_now = what;
  show();
}

void lf_meter_leave(lf_metered *what) {
  change();
  if (what->times)
    what->times->ended = mark;
  lf_metered_now = what->below;
  show();
}

void lf_meter_turn(lf_phase phase, char step) {
  if (!lf_metered_now)
    return;
  change();
  lf_metered_now->phase = phase;
  lf_metered_now->step = step;
  show();
}
