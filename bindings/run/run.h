/* SPDX-License-Identifier: MIT
 *
 * A worker's interpreter, and the runs in it: tasks and chunks on their way
 * through a coroutine, which park and go on. Entered by the worker's thread
 * only, apart from the signal handler. */
#ifndef LFB_RUN_RUN_H
#define LFB_RUN_RUN_H

#include "bindings/core/state.h"

#include <signal.h>

#include "bindings/engine/newstate.h"
#include "bindings/run/memory.h"
#include "bindings/run/watch.h"
#include "runtime/pool/profile.h"
#include "runtime/task/deadlock.h"
#include "runtime/task/vm.h"

struct lfb_chunk_run;

/* What a signal handler has noted: to end with "interrupted!"; to look whether
 * the task has been asked to stop. */
enum { LFB_SIGNALLED = 1, LFB_POKED = 2 };

/* How far it has gone towards its end. Whether it is parked is said by
 * 'base.parked'.
 *
 *   RUNNING -> ABORTED            it has been told to end, with 'abort'
 *   ABORTED -> RAISING            where it cannot yield: an error is on its way
 *   RAISING -> ABORTED            which has come to one of lfut's own calls
 *   any but CLOSING -> CLOSING   a coroutine of it is closed, at its end
 *   CLOSING -> RUNNING, ABORTED   whichever 'abort' says */
typedef enum { LFB_RUNNING, LFB_ABORTED, LFB_RAISING, LFB_CLOSING } lfb_stage;

/* One task, or chunk, on its way through the interpreter. */
typedef struct lfb_run {
  lf_run base;
  lf_link link;          /* among the interpreter's free ones, or none */
  lf_link all;           /* among all of the interpreter's */
  struct lfb_run *below; /* while it runs: on whose stack, or NULL */
  struct lf_vm *vm;
  lf_task *task; /* a reference; NULL: a chunk that the caller runs */
  lua_State *co; /* the coroutine in which it runs; reused */
  int co_ref;    /* keeps it */
  int globals;   /* registry: a table of the captured globals by name */
  lfb_stage stage;
  char abort[64];   /* the error with which it ends; empty: not told to */
  lf_reason reason; /* for which the task was asked to, instead of that */
  /* What runs in the coroutine, with the run; and what is done when that has
   * ended, maybe with an error at its top: true if it is to be called again.
   * Else the run is over, and may be in use for another. */
  lua_CFunction body;
  bool (*ended)(struct lfb_run *run, bool ok);
  struct lfb_chunk_run *chunk; /* of chunk.c; freed with the run */
  /* What it waits for. */
  lfb_watch watch;
  lf_wait_one one;
  /* While it is parked: the step that is tried again (wait.h). */
  int (*step)(lua_State *L, lfb_state *S, int64_t context,
              struct lfb_wait_for *what);
  int64_t context;
  lua_State *at;               /* and its innermost coroutine */
  int64_t began, parked_since; /* roughly */
  lfb_holder holder;           /* the task, as one that has locks */
  bool watched;                /* it has limits: its code has to see hooks */
  lfb_growth growth;           /* how much memory it may take, and has */
  lf_buf given;       /* what the task was given, if it may be run again */
  uint64_t commands;  /* their owner, if it has opened pipes to some; or 0 */
  bool on_meter;      /* while it runs, 'metered' is on its thread's meter */
  lf_metered metered; /* its 'times': NULL, or those: */
  lf_times times;
} lfb_run;

struct lf_vm {
  lua_State *L;
  lfb_state *S;
  uint32_t generation; /* of its process (fork.h) */
  lf_worker *worker;
  lf_link runs;      /* free ones */
  size_t free_runs;  /* how many */
  lf_link all;       /* all; freed when the interpreter is closed */
  lfb_run *current;  /* that runs now, or NULL */
  bool initializing; /* no task runs before the initializer has ended */
  bool closing;      /* finalizers may run, but not wait */
  bool idle_garbage; /* handles may lie about */
  volatile sig_atomic_t interrupted; /* LFB_SIGNALLED, or LFB_POKED: what calls
                                        of C functions see as their token */
  lf_run callbacks; /* made ready when a done-callback falls due */
  lfb_warnings warnings;
  lfb_heap heap;
  lfb_memory memory;
  struct lfb_output *output;
  uint64_t loop;       /* whose function is kept in LFB_REF_LOOP */
  lua_State *debugged; /* whose debug hook the tasks have, or NULL */
  lua_Hook hook;       /* that */
  int finalizer;       /* registry: what is run before it leaves, or 0 */
  bool interpreted;    /* what runs is not compiled (compiler.h) */
  bool adopted;        /* it is the program's own, in a forked worker */
};

/* --- For those who have something run --- */

/* A run for 'task' (whose reference it takes over; may be NULL), with a
 * coroutine. NULL: no memory. */
lfb_run *lfb_run_new(struct lf_vm *vm, lf_task *task);

/* Calls 'body(run)' in its coroutine, and deals with what comes of it. What
 * lies below on the C stack finds its captured globals as it has left them. */
void lfb_run_start(lfb_run *run);

/* The coroutine has ended: it is as new then. */
void lfb_run_clean(lfb_run *run, bool ok);

/* Gives it a coroutine, if it has none; false: no memory. */
bool lfb_run_ready(lfb_run *run);

/* Its own code does not run from here on. */
void lfb_run_leave_meter(lfb_run *run);

/* The run has gone on since its worker has turned to it, and is about to wait,
 * or to end: if that was long, it is counted, though it is none of those that
 * are timed. */
void lfb_run_note_long(lfb_run *run);

/* Keeps it for the next. */
void lfb_run_free(lfb_run *run);

/* A table of captured globals by name: 'save' takes what the task sees now,
 * else they are set again. */
void lfb_exchange_globals(lua_State *L, int ref, bool save);

/* --- For ops --- */

/* Runs a task that calls a Lua function; as ops->run. */
void lfb_run_task(struct lf_vm *vm, lf_task *task);

/* Goes on with a parked run; nothing if it is not parked. */
void lfb_run_resume(struct lf_vm *vm, lfb_run *run);

/* Frees the runs of an interpreter that is closed. */
void lfb_runs_free(struct lf_vm *vm);

#endif
