/* SPDX-License-Identifier: MIT
 *
 * A worker's interpreter: how tasks run in it, park, and go on. Entered by the
 * worker's thread only, apart from the signal handler. */
#ifndef LFB_WORKER_VM_H
#define LFB_WORKER_VM_H

#include "bindings/core/state.h"

#include <signal.h>

#include "runtime/pool/loop.h"

/* One task on its way through the interpreter. */
typedef struct lfb_run {
  lf_run base;
  lf_link link;          /* among the interpreter's free ones, or none */
  lf_link all;           /* among all of the interpreter's */
  struct lfb_run *below; /* while it runs: on whose stack, or NULL */
  struct lf_vm *vm;
  lf_task *task; /* a reference */
  lua_State *co; /* the coroutine in which it runs; reused */
  int co_ref;    /* keeps it */
  int globals;   /* registry: a table of the captured globals by name */
  /* What it waits for. */
  lf_waiter waiter;
  lf_wait_one one;
  void (*unwatch)(struct lfb_run *run); /* takes the registration back */
  void *watched;
  bool waiting;
  lfb_holder holder; /* the task, as one that has locks */
  /* A part of a parallel loop (chunk.c). */
  lf_chunk *chunk;              /* NULL: a task of its own */
  lf_job *job;                  /* a reference */
  int setup;                    /* registry: the job's function and options */
  size_t item;                  /* the next packed one: where in its block */
  const struct lf_array *array; /* else its elements; borrowed */
  lua_Number first, step;       /* else a range of floats */
  uint64_t position;            /* of the next item */
  int sink;                     /* lfb_sink */
  size_t mark;                  /* end of the output's last complete entry */
  uint64_t begun;               /* of the chunk, without results: items run */
  bool cut;                     /* the rest of the chunk is given back */
  lf_hunger hunger;             /* is that wanted? */
  int64_t since;                /* when it began */
  /* Not empty: it must end with this error, whatever it does. */
  char doom[64];
  /* It ends so, and the handlers of its variables run: as its coroutines are
   * closed, or as an error is on its way. */
  bool closing, raising;
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
  bool closing;      /* finalizers may run, but not wait */
  bool idle_garbage; /* handles may lie about */
  volatile sig_atomic_t interrupted; /* set by the signal handler */
  lf_run callbacks;    /* made ready when a done-callback falls due */
  bool warns, warning; /* warn() is on; in the middle of a message */
  struct lfb_output *output;
  uint64_t job; /* whose function is kept in LFB_REF_JOB */
  bool adopted; /* it is the program's own, in a forked worker */
};

extern const lf_vmops lfb_vmops;

/* For an InlineExecutor, on the C stack of the caller: claims and runs one
 * chunk of the loop; false if there was none. */
bool lfb_run_part(struct lf_vm *vm, lf_job *job);

/* --- For chunk.c --- */

/* A run for 'task' (whose reference it takes over; may be NULL). NULL: no
 * memory. */
lfb_run *lfb_run_new(struct lf_vm *vm, lf_task *task);

/* lfb_native_part, so that an interruption reaches it. */
void lfb_run_native_part(struct lf_vm *vm, lf_job *job, lf_chunk *chunk);

/* Gives it a coroutine; false: no memory. */
bool lfb_run_ready(lfb_run *run);

/* Calls 'body(run)' in its coroutine, and deals with what comes of it. */
void lfb_run_start(lfb_run *run, lua_CFunction body);

void lfb_run_free(lfb_run *run);

void lfb_exchange_globals(lua_State *L, int ref, bool save);

/* Resets 'data' to the packed error value "not enough memory"; needs none. */
void lfb_put_memory_error(lf_buf *data);

/* The error value at the top of the run's coroutine, packed into 'data' (empty
 * at first) with its traceback, which the caller owns, in '*trace'. */
void lfb_pack_failure(lfb_run *run, lf_buf *data, char **trace);

/* Protected: calls 'f' in the interpreter's main thread with a pointer. True
 * unless it raised; nothing is left on the stack. */
bool lfb_try(struct lf_vm *vm, lua_CFunction f, void *arg);

#endif
