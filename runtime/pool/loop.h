/* SPDX-License-Identifier: MIT
 *
 * A parallel loop: items that become available to the workers, who claim them
 * by chunks, and the chunks' results, which one consumer takes.
 *
 * The workers' side is a runner: a task that claims one chunk, queues the next
 * runner if items are left, and runs its chunk. So a loop takes its turns with
 * other tasks of the pool, any number of runners may be parked, and the size
 * of a chunk is decided when it is claimed, by the time that items took. */
#ifndef LF_POOL_LOOP_H
#define LF_POOL_LOOP_H

#include "runtime/pool/chunk.h"
#include "runtime/pool/pool.h"
#include "runtime/task/deadlock.h"

typedef struct lf_loop lf_loop;
struct lf_limits;

/* A task that runs a chunk of a loop. */
typedef struct {
  lf_task task;
  lf_level level;
  lf_loop *loop;     /* a reference; NULL: it could not be queued */
  lf_chunk *chunk;   /* once it has been claimed; owned */
  void *from;        /* who is told of its end; for 'done' of lf_loop_import */
  lf_chunk *current; /* the same chunk, until it is settled; the loop's lock */
  bool settled;      /* its chunk has its end, or there was none; the same */
} lf_runner;

/* The second: of one with limits. */
extern const lf_task_ops lf_runner_ops, lf_limited_runner_ops;

/* The runner that the task is, or NULL. */
static inline lf_runner *lf_runner_of(const lf_task *task) {
  return task->ops == &lf_runner_ops || task->ops == &lf_limited_runner_ops
             ? lf_container_of(task, lf_runner, task)
             : NULL;
}

/* A runner with one reference, which owns 'chunk' (may be NULL) then. NULL: no
 * memory. */
lf_runner *lf_runner_new(lf_loop *loop, lf_chunk *chunk);

typedef enum { LF_ORDERED, LF_UNORDERED } lf_order;

/* 'setup' (function, options) is moved from; 'code' gets a reference, may be
 * NULL. chunksize 0: automatic. NULL: no memory. */
lf_loop *lf_loop_new(lf_pool *pool, lf_buf *setup, lf_code *code,
                     uint64_t chunksize, lf_order order);

/* Before anything is supplied: its runners pass the strand (strand.h; NULL:
 * none), or all run in the pool's affine worker. */
void lf_loop_restrict(lf_loop *loop, struct lf_strand *strand, bool affine);

/* The same: its items have these limits. If these are more than a priority, a
 * grace, a name, each item is a chunk of its own. */
void lf_loop_limit(lf_loop *loop, struct lf_limits *limits);

/* These, or NULL. */
struct lf_limits *lf_loop_limits(const lf_loop *loop);

/* Where its runners go. */
lf_route lf_loop_route(const lf_loop *loop);

/* The same loop in another process than its consumer's: its runners come with
 * their chunk, whose end is told by 'done', which owns it then.
 * 'setup' is moved from, 'code' as above. NULL: no memory. */
typedef void lf_chunk_done(lf_runner *runner, lf_chunk *chunk, int64_t ns);
lf_loop *lf_loop_import(lf_pool *pool, lf_buf *setup, lf_code *code,
                        lf_chunk_done *done);

/* Is it imported, and its chunks' end told by that? Then runner->from is
 * theirs. */
bool lf_loop_is_told_by(const lf_loop *loop, lf_chunk_done *done);

lf_loop *lf_loop_ref(lf_loop *loop);
void lf_loop_unref(void *loop);

/* Never used again for another loop. */
uint64_t lf_loop_id(const lf_loop *loop);
lf_pool *lf_loop_pool(const lf_loop *loop);
const lf_buf *lf_loop_setup(const lf_loop *loop);

/* What it runs, or NULL; and that in words: "function <script.lua:12>". */
lf_code *lf_loop_code(const lf_loop *loop);
const char *lf_loop_name(const lf_loop *loop); /* given to it, or NULL */
const char *lf_loop_label(const lf_loop *loop);

/* --- The consumer ------------------------------------------------------- */

/* Items up to (not including) 'end' may be claimed; 'block' (moved, may be
 * NULL) has those that are new. Starts runners. An error of the pool stops
 * the loop and is found at its position. LF_ENOMEM: nothing supplied. */
int lf_loop_supply(lf_loop *loop, lf_block *block, uint64_t end);

/* How many items to have supplied and not consumed, for the workers to have
 * enough to do. */
uint64_t lf_loop_window(lf_loop *loop);

/* What came of asking for the next chunk. */
typedef enum {
  LF_CHUNK,   /* *chunk is the consumer's; free it with lf_chunk_free */
  LF_WAIT,    /* not yet: watch, then wait */
  LF_END,     /* everything supplied has been taken */
  LF_STOPPED, /* items from here on will not be run: *why tells */
} lf_next;

typedef struct {
  int err;          /* 0: cancelled; else LF_E... of the pool */
  const char *text; /* why; lives as long as the loop */
} lf_stop;

lf_next lf_loop_next(lf_loop *loop, lf_chunk **chunk, lf_stop *why);

/* The waker is woken when the next chunk is there, or the loop has been closed,
 * until it is taken out again. False if lf_loop_next would not say LF_WAIT any
 * more. */
bool lf_loop_watch(lf_loop *loop, lf_waker *waker);
void lf_loop_unwatch(lf_loop *loop, lf_waker *waker);

/* For waiting in a task: all runners that run. */
lf_waits *lf_loop_waits(lf_loop *loop);

/* Nothing more is claimed; what runs is stopped, or not. */
void lf_loop_close(lf_loop *loop);
void lf_loop_stop(lf_loop *loop);

/* After the last supply: the running task 'over' (moved) is finished as soon as
 * no chunk runs and none will any more. */
void lf_loop_seal(lf_loop *loop, lf_task *over);

/* Items that have been run, or will not be, whether their turn has come or not.
 */
uint64_t lf_loop_finished(lf_loop *loop);

/* --- The workers -------------------------------------------------------- */

/* Should the rest of a shareable chunk, which is run in the pool since then, be
 * given back? It takes longer than a chunk should, and others are idle. */
bool lf_chunk_overruns(const lf_chunk *chunk, lf_pool *pool, int64_t since);

/* A chunk for the runner (NULL: for the caller itself), or NULL. */
lf_chunk *lf_loop_claim(lf_loop *loop, lf_runner *runner);

/* The chunk's results are complete, after 'ns' nanoseconds of running; but for
 * chunk->rest: others may claim these. */
void lf_loop_done(lf_loop *loop, lf_chunk *chunk, int64_t ns);

/* The chunk, claimed, will not be run after all: the loop ends there. */
void lf_loop_drop(lf_loop *loop, lf_chunk *chunk);

#endif
