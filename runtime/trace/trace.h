/* SPDX-License-Identifier: MIT
 *
 * What ran where and when. Each thread that has something to tell has a ring of
 * events, which it alone fills without a lock; the trace's own thread empties
 * all of them into the file (export.h). When that thread does not keep up, a
 * full ring is moved to a file without a name, so that memory stays as it is
 * and nobody waits; the trace's end waits for all of it.
 *
 * A worker process has rings of the same kind, and no file: what is in them
 * goes to its program in pieces (lf_trace_forward), which feeds its own trace;
 * what its own worker processes send it, too. A thread of its own, the relay,
 * sees to that.
 */
#ifndef LF_TRACE_TRACE_H
#define LF_TRACE_TRACE_H

#include "runtime/os/thread.h"
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
  _Atomic uint32_t name, phase, step;
  _Atomic uint64_t flow;
} lf_trace_now;

/* What a worker process shares with its program. Zeroed by who makes it. */
typedef struct {
  lf_trace_now now;          /* of its main thread, but for the name */
  lf_parker parker;          /* the relay sleeps on it; shared */
  _Atomic uint32_t relays;   /* it has a relay; by the worker */
  _Atomic uint32_t asked;    /* the trace that ends, by the program; */
  _Atomic uint32_t answered; /* all of it has been sent, by the relay */
} lf_trace_desk;

/* The trace ends: the worker process is to send what it has of it, which is
 * the case when it 'has answered'. Whoever waits for that receives meanwhile.
 */
void lf_trace_ask(lf_trace_desk *desk);
bool lf_trace_has_answered(lf_trace_desk *desk);
void lf_trace_await(lf_trace_desk *desk, int64_t deadline);

/* The same of a worker process, which runs 'code', or 'name': it has ended, or
 * the trace is about to. */
void lf_trace_rest(pid_t process, const lf_trace_now *now, lf_code *code,
                   const char *name);

/* Whose events these are: of that line; things are called as one process calls
 * them, and what that has never told, as the one of which it may be a fork. */
typedef struct {
  pid_t process, thread;
  pid_t namer, parent;
  uint32_t session; /* the trace's number */
} lf_trace_from;

/* What a worker process has sent (lf_trace_forward), for that trace: at most
 * 1024 events of 32 bytes. */
void lf_trace_feed(const lf_trace_from *from, const void *bytes, size_t n);

/* A process of another machine, and a line of it, are called that, in front of
 * their first slices. */
void lf_trace_call_process(pid_t process, const char *name);
void lf_trace_call_thread(pid_t process, pid_t thread, const char *name);

/* What it has done, as far as is known here: a slice of that line, with this
 * process's clock, and names; 'flow' as below, 0: none. */
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
void lf_trace_open(int64_t at, lf_phase phase, lf_code *code, const char *name,
                   char step, uint64_t flow);

/* --- Of a worker process --- */

/* From now on what is traced here goes there: 'send' is called on any thread;
 * it must not trace. The others are as for lf_trace_start. The calling thread,
 * which is the main one, shows at the desk what it is at. */
typedef void lf_trace_send(const lf_trace_from *from, const void *bytes,
                           size_t n);
typedef struct {
  lf_trace_send *send;
  lf_trace_desk *desk;
  lf_trace_sampler *sample, *rest;
} lf_trace_way;
void lf_trace_forward(const lf_trace_way *way);

/* Sends what the calling thread has; what all have. */
void lf_trace_hand_over(void);
void lf_trace_hand_over_all(void);

#endif
