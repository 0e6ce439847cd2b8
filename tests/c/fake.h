/* SPDX-License-Identifier: MIT
 *
 * What the C tests share: gates where threads meet, waiting for tasks, and an
 * interpreter without a language, whose tasks are lists of steps in C.
 *
 * cmocka's assertions belong in the test's own thread; steps leave what they
 * find in gates, in the log, or in their argument. */
#ifndef FAKE_H
#define FAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>
#include <sys/types.h>

#include <cmocka.h>

#include "runtime/base/mem.h"
#include "runtime/pool/loop.h"
#include "runtime/pool/pool.h"
#include "runtime/shm/array.h"
#include "runtime/shm/heap.h"

/* A count that only grows, on which threads wait. */
typedef struct {
  pthread_mutex_t lock;
  pthread_cond_t grown;
  int count;
} gate;

#define GATE                                                                   \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

void gate_add(gate *g);
void gate_await(gate *g, int count);
int gate_count(gate *g);

/* A test that begins with an empty registry and log, and after which every pool
 * has to have ended and all memory to be back. */
#define TEST(f) cmocka_unit_test_setup_teardown(f, fake_begin, fake_end)

int fake_begin(void **state);
int fake_end(void **state);

/* Numbers in the order in which they were noted; any thread. */
void log_add(int value);
size_t log_len(void);
int log_at(size_t i);

/* The log has exactly these numbers; 'assert' with the caller's line. */
#define assert_log(...)                                                        \
  fake_assert_log((const int[]){__VA_ARGS__},                                  \
                  sizeof(int[]){__VA_ARGS__} / sizeof(int), __FILE__,          \
                  __LINE__)
void fake_assert_log(const int *want, size_t n, const char *file, int line);

/* Waits, as the main program's thread, until the task is done. */
void await(lf_task *task);

/* Looks again and again, letting others run, until 'cond' holds. */
#define until(cond)                                                            \
  do                                                                           \
    sched_yield();                                                             \
  while (!(cond))

/* --- Processes ----------------------------------------------------------- */

/* A forked child that may have what is in the arena. */
typedef struct {
  pid_t pid;
  uint32_t owner;
  lf_hold hold;
} fake_child;

/* It runs 'body(arg)', in which it must not assert but may abort, and ends. */
void fake_start(fake_child *child, void (*body)(void *arg), void *arg);

/* Waits for its end, by itself or by SIGKILL, and buries it. Returns its
 * status.
 */
int fake_join(fake_child *child);
int fake_kill(fake_child *child);

/* Begins a test in which there is an arena; after which nothing may be left in
 * it. */
#define SHARED(f) cmocka_unit_test_setup_teardown(f, fake_share, fake_unshare)
int fake_share(void **state);
int fake_unshare(void **state);

/* The same of its heap: nothing may be left but the one zone that is kept. */
#define ARENA(f) cmocka_unit_test_setup_teardown(f, fake_share, fake_give_back)
int fake_give_back(void **state);

/* A block's memory, and whether its first n bytes are zero. Reading, too, makes
 * memory be there: not for large ones. */
void *bytes_of(const lf_extent *block);
bool is_zero(const lf_extent *block, uint64_t n);

/* --- Pools --------------------------------------------------------------- */

/* How the pool's interpreters behave, and what they have seen. */
typedef struct {
  _Atomic int open_error; /* what opening one returns */
  _Atomic int good_opens; /* so many succeed before that */
  const char *why;        /* with LF_EBROKEN */
  gate *opening;          /* not NULL: opening waits for one */
  _Atomic int opened, closed, idled, interrupted, asked;
  _Atomic int running, most; /* tasks that run, and the most at once */
} fake_setup;

/* A pool with one handle; its interpreters are fake. */
lf_pool *fake_pool(fake_setup *setup, int max_workers);

/* Shuts it down, waits for its end, gives the handle back. */
void fake_close(lf_pool *pool);

/* Gives the handle back and waits for the end. */
void fake_drop(lf_pool *pool);

lf_pool_stats stat_of(lf_pool *pool);

/* --- Tasks --------------------------------------------------------------- */

typedef struct fake_run fake_run;

struct lf_vm {
  lf_worker *worker;
  fake_setup *setup;
  lf_link all; /* runs */
};

/* One step of a task. False: the run stands still (fake_park was called); the
 * step is called once more when it goes on. */
typedef bool fake_step(fake_run *run, void *arg);

struct fake_run {
  lf_run base;
  lf_link all; /* of the interpreter */
  struct lf_vm *vm;
  lf_task *task; /* a reference */
  size_t next;   /* step */
  bool resumed;  /* the step is called once more */
  bool failed;
  lf_waiter waiter;
  bool waits; /* the waiter is registered */
  void *user; /* what a step keeps */
};

/* A pending task that does fn(run, arg) for each pair of arguments; NULL after
 * the last. */
lf_task *fake_task(lf_pool *pool, ...);

/* One that does fn(run, arg), with a priority. */
lf_task *fake_task_with(lf_pool *pool, int64_t priority, fake_step *fn,
                        void *arg);

/* Such a task, submitted from here; the caller's reference is returned. */
#define submit(pool, ...) fake_submit(pool, fake_task(pool, __VA_ARGS__, NULL))
lf_task *fake_submit(lf_pool *pool, lf_task *task);

/* From now on the run stands still. */
void fake_park(fake_run *run, int64_t deadline);

/* Around sleeping in the middle of a task: another runs meanwhile. */
void fake_block(lf_worker *worker);
void fake_unblock(lf_worker *worker);

/* Steps. */
fake_step step_log;    /* (void *)(intptr_t) number: notes it */
fake_step step_add;    /* gate: adds one */
fake_step step_await;  /* gate: occupies the worker until it has one */
fake_step step_block;  /* gate: the same, letting a stand-in run meanwhile */
fake_step step_fail;   /* ends the task as FAILED */
fake_step step_submit; /* task: submits it near; takes over the reference */
fake_step step_tail;   /* task: submits it at the tail; the same */
fake_step step_wait;   /* task: parks until it is done */

#define NUMBER(n) ((void *)(intptr_t)(n))

/* --- Loops --------------------------------------------------------------- */

/* What a loop does with each item, in a worker. */
typedef struct {
  void (*item)(uint64_t item, void *arg);
  void *arg;
  int64_t ns;     /* what each item is said to have taken */
  uint64_t piece; /* not 0: of a chunk only so many are run, if that may be */
} fake_body;

lf_loop *fake_loop(lf_pool *pool, fake_body body, uint64_t chunksize,
                   lf_order order);

/* Runs the chunk in the calling thread. */
void fake_run_chunk(lf_loop *loop, lf_chunk *chunk);

/* Waits for what comes next. */
lf_next fake_next(lf_loop *loop, lf_chunk **chunk, lf_stop *why);

#endif
