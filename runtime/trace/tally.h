/* SPDX-License-Identifier: MIT
 *
 * How often functions have been run by an executor, and what that took. Who
 * counts is one thread (or holds a lock): no atomic operation but plain loads
 * and stores; who reads may be any. */
#ifndef LF_TRACE_TALLY_H
#define LF_TRACE_TALLY_H

#include <stdatomic.h>

#include "runtime/base/buf.h"
#include "runtime/base/code.h"
#include "runtime/base/table.h"

/* Bits of lf_timing: no long run is missed, also if it is none of the sample
 * that is timed; all are timed and traced; and above, the number of the trace,
 * by which its names are known. */
enum { LF_TIME_LONG = 1, LF_TIME_TRACE = 2, LF_TIME_SESSION = 4 };
extern atomic_int lf_timing;

static inline int lf_timing_now(void) {
  return atomic_load_explicit(&lf_timing, memory_order_relaxed);
}

enum {
  LF_LONG_NS = 20000000
}; /* what is long: some ticks of the rough clock */

/* What a thread does for a task. */
typedef enum {
  LF_PHASE_RUN,
  LF_PHASE_NATIVE, /* runs a C function */
  LF_PHASE_PACK,
  LF_PHASE_UNPACK,
  LF_PHASE_WAIT,
  LF_PHASES
} lf_phase;

/* What one run of a task has taken on its worker: nanoseconds; bytes. */
typedef struct {
  int64_t born, begun; /* moments; 0: it was not timed, but for the bytes */
  int64_t ended;       /* the same; 0: when it has taken all of its time */
  bool fine;           /* copying is told apart from running */
  int64_t ns[LF_PHASES];
  uint64_t sent, received; /* arguments, results */
} lf_times;

/* Of one function. Times are those of the runs that were timed: of short ones a
 * sample (pool/profile.h). So long ones are counted apart if none is missed. */
typedef struct lf_tally {
  struct lf_tally *next;
  lf_code *code; /* a reference; NULL: others */
  _Atomic uint64_t calls, failures, sent, received;
  _Atomic uint64_t items;               /* of these calls: in chunks of loops */
  _Atomic uint64_t timed, run, longest; /* ns, */
  _Atomic uint64_t queues, queued;      /* of so many */
  _Atomic uint64_t busy; /* ns: run, and what its worker has packed, unpacked */
  _Atomic uint64_t waited; /* ns, in the middle of it */
  _Atomic uint64_t longs, long_run, long_busy, long_waited; /* so many; not in
                                                               the above */
  /* By who submits and asks for results; and by workers, so many times. */
  _Atomic uint64_t packs, packed, unpacked;
  _Atomic uint64_t fine, fine_packed, fine_unpacked;
} lf_tally;

/* Of all functions; {0} is empty. */
typedef struct {
  _Atomic(lf_tally *) first;
  lf_tally *last;   /* that was counted */
  lf_table by_code; /* code's id -> lf_tally *; who counts */
  lf_tally *others; /* of functions beyond so many; its code is NULL */
  _Atomic int64_t begun, ended; /* moments: of the first run that was timed, of
                                   the last one; 0: none */
} lf_tallies;

/* A run that has ended; or a chunk of a loop, with so many items. */
void lf_tallies_count(lf_tallies *tallies, lf_code *code, bool failed,
                      const lf_times *times);
void lf_tallies_chunk(lf_tallies *tallies, lf_code *code, uint64_t items,
                      uint64_t failures, const lf_times *times);

/* By the one who counts. */
static inline void lf_tally_add(_Atomic uint64_t *to, uint64_t n) {
  uint64_t old = atomic_load_explicit(to, memory_order_relaxed);
  atomic_store_explicit(to, old + n, memory_order_relaxed);
}

/* The same as lf_tallies_count; most are of the function that the last one was
 * of, and were not timed. */
static inline void lf_tallies_run(lf_tallies *tallies, lf_code *code,
                                  bool failed, const lf_times *times) {
  lf_tally *t = tallies->last;
  if (failed || times->begun || !t || t->code != code) {
    lf_tallies_count(tallies, code, failed, times);
    return;
  }
  lf_tally_add(&t->calls, 1);
  lf_tally_add(&t->sent, times->sent);
  lf_tally_add(&t->received, times->received);
}

/* Values that were packed, or unpacked, somewhere else. */
void lf_tallies_packed(lf_tallies *tallies, lf_code *code, int64_t ns);
void lf_tallies_unpacked(lf_tallies *tallies, lf_code *code, int64_t ns);

/* Adds up; 'move': what nobody counts in any more, which is empty then. */
void lf_tallies_add(lf_tallies *to, const lf_tallies *from);
void lf_tallies_move(lf_tallies *to, lf_tallies *from);

/* Appends what others can add to theirs, which nobody counts in meanwhile.
 * LF_ENOMEM: not all is there. 'get' is false if the bytes are none. */
int lf_tallies_put(const lf_tallies *tallies, lf_buf *out);
bool lf_tallies_get(lf_tallies *to, const void *bytes, size_t n);

/* When nobody reads it any more. */
void lf_tallies_fini(lf_tallies *tallies);

/* Have the runs of the function been found to be so long that a look at the
 * clock does not matter? */
static inline bool lf_code_is_slow(const lf_code *code) {
  return code && atomic_load_explicit(&code->slow, memory_order_relaxed);
}

enum { LF_TALLIES_MOST = LF_LIMIT(10000, 8) }; /* functions told apart */

/* What a function is called in statistics and traces, made of its label:
 * "script.lua:12"; of C, its name. Returns 'out'. */
enum { LF_FUNCTION_NAME = LF_LABEL };
const char *lf_function_name(const char *label, char out[LF_FUNCTION_NAME]);

#endif
