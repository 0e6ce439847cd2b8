/* SPDX-License-Identifier: MIT
 *
 * How much memory a task may take: while its code runs, the interpreter's
 * allocator is one that counts.
 *
 * A task that goes beyond its limit has all garbage collected before its next
 * instruction, and is stopped if it is still beyond it. Until then it may have
 * as much again, so that what is refused at once (where Lua has not collected
 * garbage, in the buffers of C functions) is more than the limit by itself. */
#ifndef LFB_RUN_MEMORY_H
#define LFB_RUN_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bindings/engine/compat.h"

struct lf_vm;
struct lfb_run;

/* An interpreter's. */
typedef struct {
  struct lfb_run *run; /* whose memory is counted, or NULL */
  lua_Alloc alloc;     /* the interpreter's own, if that is not NULL */
  void *ud;
  size_t live;   /* bytes without garbage, when a task began */
  size_t wanted; /* bytes that were refused last */
  bool look;     /* the run is to look at its next instruction */
} lfb_memory;

/* A run's. */
typedef struct {
  ptrdiff_t allowed; /* bytes; 0: any number */
  ptrdiff_t limit;   /* that, once it counts, or more */
  ptrdiff_t grown;   /* by so many in its own code, */
  size_t base;       /* since the heap had so many */
  ptrdiff_t known;   /* of these, so many were alive when that was seen last */
  ptrdiff_t copied;  /* what was most that lfut itself has copied at a time:
                        so many more may be alive */
  ptrdiff_t copying; /* the same of the last time, and which that was */
  unsigned copies;
} lfb_growth;

/* Of a run that begins; it is counted by lfb_memory_begin. */
static inline lfb_growth lfb_growth_of(size_t allowed) {
  return (lfb_growth){.allowed = (ptrdiff_t)allowed, .limit = PTRDIFF_MAX / 4};
}

/* Around the run's code; 'outer' is what was counted before. */
void lfb_memory_enter(struct lf_vm *vm, struct lfb_run *run, lfb_memory *outer);
void lfb_memory_leave(struct lf_vm *vm, const lfb_memory *outer);

/* What the task has been given is there: counts from now on. */
void lfb_memory_begin(struct lfb_run *run);

/* The run is about to be parked: what is garbage then is not counted for it
 * when it goes on, as others may collect it. */
void lfb_memory_park(struct lfb_run *run);

/* In a forked process, which is none of a worker: nothing is counted any more.
 */
void lfb_memory_forget(struct lf_vm *vm);

/* At an instruction of the current run: collects garbage if that was asked for,
 * and stops the task if it has taken too much. */
void lfb_memory_look(struct lf_vm *vm);

#endif
