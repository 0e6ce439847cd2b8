/* SPDX-License-Identifier: MIT
 *
 * What ran where and when. Each thread that has something to tell has a ring of
 * events, which it alone fills without a lock; the trace's own thread empties
 * all of them into the file (export.h). When that thread does not keep up, a
 * full ring is moved to a file without a name, so that memory stays as it is
 * and nobody waits; the trace's end waits for all of it.
 *
 * A worker process has rings of the same kind, and no file: what is in them
 * goes to its program in pieces (lf_trace_forward), which feeds its own trace.
 */
#ifndef LF_TRACE_TRACE_H
#define LF_TRACE_TRACE_H

#include "runtime/base/buf.h"
#include "runtime/trace/tally.h"

#include <sys/types.h>

static inline bool lf_is_traced(void) {
  return lf_timing_now() & LF_TIME_TRACE;
}

/* No long run goes unnoticed from now on; in a worker process, what the program
 * says. */
void lf_time_long(void);
void lf_time_as(int bits);

/* --- Of the program --- */

/* Called now and then on the trace's thread, to put counters. */
typedef void lf_trace_sampler(void *arg);

/* Begins a trace into a new file. 0, or errno of what has failed: LF_E... are
 * none. One that is there is ended first. 'rest' (NULL: nothing) is called at
 * its end, by who ends it, to put what worker processes are in the middle of.
 */
int lf_trace_start(const char *path, lf_trace_sampler *sample,
                   lf_trace_sampler *rest, void *arg);

/* Ends it, if there is one, when all events are in the file. errno of what has
 * failed, or 0; '*lost': events that are missing. */
int lf_trace_stop(uint64_t *lost);

/* On the trace's thread: the counter of 'whose', which is cut. */
void lf_trace_counter(const char *counter, const char *whose, uint64_t value);

/* What a thread is in the middle of, for others to see. */
typedef struct {
  _Atomic int64_t at;       /* since when; 0: nothing */
  _Atomic uint32_t session; /* the trace's number */
  _Atomic uint32_t name, phase;
} lf_trace_now;

/* The same of a worker process, which runs 'code', or 'name': it has ended, or
 * the trace is about to. */
void lf_trace_rest(pid_t process, const lf_trace_now *now, lf_code *code,
                   const char *name);

/* What a thread of a worker process has sent (lf_trace_forward), for that
 * trace: at most 1024 events of 32 bytes. */
void lf_trace_feed(pid_t process, pid_t thread, uint32_t session,
                   const void *bytes, size_t n);

/* What a process of another machine has done, as far as is known here: a slice
 * of its line 'thread', with this process's clock, and names; 'flow' as below,
 * 0: none. It is called that, in front of its first slice. */
void lf_trace_call_process(pid_t process, const char *kind, const char *name);
void lf_trace_far(pid_t process, pid_t thread, int64_t at, int64_t ns,
                  lf_code *code, const char *name, int64_t flow);

/* --- Of all threads --- */

/* One slice of the calling thread's line: what was done from 'at' for 'ns'. Its
 * name is 'name', else the function's. 'flow': the task's number, or 0, with
 * the step of its way that this is: 's', 't', 'f'. */
void lf_trace_slice(int64_t at, int64_t ns, lf_phase phase, lf_code *code,
                    const char *name, char step, uint64_t flow);

/* What the thread is at, from then on: if the trace ends meanwhile, it has that
 * as a slice. 0: nothing. */
void lf_trace_open(int64_t at, lf_phase phase, lf_code *code, const char *name);

/* --- Of a worker process --- */

/* From now on what is traced here goes there: 'send' is called on the thread
 * that has filled its ring, or calls lf_trace_hand_over; it must not trace. */
typedef void lf_trace_send(const void *bytes, size_t n);
void lf_trace_forward(lf_trace_send *send);

/* The calling thread shows there from now on what it is at, but for the name.
 */
void lf_trace_show(lf_trace_now *place);

/* Sends what the calling thread has. */
void lf_trace_hand_over(void);

#endif
