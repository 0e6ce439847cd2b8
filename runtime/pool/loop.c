/* SPDX-License-Identifier: MIT
 *
 * See loop.h. */
#include "runtime/pool/loop.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/pool/stop.h"

/* Items that may wait at the same time, where they have no thread. */
enum { PARKED_WINDOW = LF_LIMIT(10000, 100) };

struct lf_loop {
  _Atomic size_t refs;
  uint64_t id;
  uint64_t epoch;           /* of the pool when the loop began */
  lf_pool *pool;            /* a reference */
  lf_code *code;            /* a reference, or NULL */
  struct lf_strand *strand; /* of its runners, or NULL */
  lf_route route;           /* where they go, */
  lf_limits *limits;        /* and what they may take: a reference, or NULL */
  lf_buf setup;             /* read-only */
  uint64_t chunksize;
  lf_order order;
  lf_waits waits;
  lf_chunk_done *foreign_done; /* of an imported one, else NULL */
  _Atomic uint32_t awaiting;   /* tasks that wait for it */

  pthread_mutex_t lock; /* all below; a search for deadlocks takes it, too */
  lf_link running;      /* chunks with a task */
  lf_link watchers;     /* wakers: the consumer's, while it waits */
  lf_link blocks;       /* struct held, oldest first */
  uint64_t end;         /* items supplied */
  uint64_t cursor;      /* items claimed, */
  uint64_t back;        /* of which so many have been given back: */
  lf_link returned;     /* in these chunks */
  int queued;           /* runners that have not claimed yet */
  uint64_t open;        /* chunks claimed and not done */
  uint64_t finished;    /* items of those that are */
  uint64_t item_ns;     /* time of an item, smoothed; 0: not known */
  lf_link ready;        /* chunks: ordered, all claimed; else those done */
  lf_task *over;        /* to be finished at the end; a reference, or NULL */
  bool stopped;
  bool lacks; /* some of what was given back will not be run */
  lf_stop stop;
};

/* A block in the loop's list. */
struct held {
  lf_link link;
  lf_block *block;
};

static _Atomic uint64_t last_id;

/* --- The loop ----------------------------------------------------------------
 */

static void each_runner(lf_waits *waits, lf_visit *visit, void *arg) {
  lf_loop *loop = lf_container_of(waits, lf_loop, waits);
  pthread_mutex_lock(&loop->lock);
  for (lf_link *l = loop->running.next; l != &loop->running; l = l->next)
    if (!visit(lf_container_of(l, lf_chunk, running)->task, arg))
      break;
  pthread_mutex_unlock(&loop->lock);
}

static void count_wait(lf_waits *waits, int by) {
  atomic_fetch_add(&lf_container_of(waits, lf_loop, waits)->awaiting,
                   (uint32_t)by);
}

lf_loop *lf_loop_new(lf_pool *pool, lf_buf *setup, lf_code *code,
                     uint64_t chunksize, lf_order order) {
  lf_loop *loop = lf_zalloc(sizeof *loop);
  if (!loop)
    return NULL;
  if (lf_buf_move(&loop->setup, setup) != 0) {
    lf_free(loop);
    return NULL;
  }
  atomic_init(&loop->refs, 1);
  loop->id = atomic_fetch_add(&last_id, 1) + 1;
  loop->pool = lf_pool_ref(pool);
  loop->epoch = lf_pool_epoch(pool);
  loop->code = code ? lf_code_ref(code) : NULL;
  /* Items that wait are to do so at the same time. */
  loop->chunksize = chunksize || !lf_pool_parks(pool) ? chunksize : 1;
  loop->order = order;
  loop->waits = (lf_waits){.each = each_runner, .count = count_wait};
  lf_list_init(&loop->running);
  lf_list_init(&loop->blocks);
  lf_list_init(&loop->ready);
  lf_list_init(&loop->watchers);
  lf_list_init(&loop->returned);
  loop->route = LF_TAIL;
  pthread_mutex_init(&loop->lock, NULL);
  return loop;
}

void lf_loop_restrict(lf_loop *loop, struct lf_strand *strand, bool affine) {
  loop->strand = strand;
  loop->route = affine ? LF_ROUTE_AFFINE : LF_TAIL;
}

void lf_loop_limit(lf_loop *loop, lf_limits *limits) {
  loop->limits = lf_limits_ref(limits);
  if (lf_limits_are_of_each(limits) ||
      (limits->retries > 0 && !lf_pool_runs_chunks_again(loop->pool)))
    loop->chunksize = 1;
}

lf_limits *lf_loop_limits(const lf_loop *loop) {
  return loop->limits;
}

lf_route lf_loop_route(const lf_loop *loop) {
  return loop->route;
}

lf_loop *lf_loop_import(lf_pool *pool, lf_buf *setup, lf_code *code,
                        lf_chunk_done *done) {
  lf_loop *loop = lf_loop_new(pool, setup, code, 1, LF_ORDERED);
  if (loop)
    loop->foreign_done = done;
  return loop;
}

bool lf_loop_is_told_by(const lf_loop *loop, lf_chunk_done *done) {
  return loop->foreign_done == done;
}

lf_loop *lf_loop_ref(lf_loop *loop) {
  atomic_fetch_add(&loop->refs, 1);
  return loop;
}

/* It is in no list any more. */
static void free_held(struct held *h) {
  lf_block_unref(h->block);
  lf_free(h);
}

static void drop_blocks(lf_loop *loop) {
  lf_link *l;
  while ((l = lf_list_pop(&loop->blocks)))
    free_held(lf_container_of(l, struct held, link));
}

/* Ends what is told of the loop's end, if there is something. */
static void end_over(lf_task *over) {
  if (!over)
    return;
  lf_task_end(over, LF_FINISHED);
  lf_task_unref(over);
}

/* Under the lock: what has been given back will not be run. In order, that is
 * where the results end. */
static void forget_returned(lf_loop *loop) {
  lf_link *l;
  while ((l = lf_list_pop(&loop->returned))) {
    lf_chunk *c = lf_container_of(l, lf_chunk, returned);
    c->dropped = loop->lacks = true;
    if (loop->order == LF_UNORDERED)
      lf_chunk_free(c);
  }
  loop->back = 0;
}

void lf_loop_unref(void *object) {
  lf_loop *loop = object;
  if (atomic_fetch_sub(&loop->refs, 1) != 1)
    return;
  lf_link *l;
  end_over(loop->over);
  forget_returned(loop);
  while ((l = lf_list_pop(&loop->ready)))
    lf_chunk_free(lf_container_of(l, lf_chunk, link));
  drop_blocks(loop);
  lf_buf_fini(&loop->setup);
  if (loop->code)
    lf_code_unref(loop->code);
  if (loop->limits)
    lf_limits_unref(loop->limits);
  lf_pool_unref(loop->pool);
  pthread_mutex_destroy(&loop->lock);
  lf_free(loop);
}

uint64_t lf_loop_id(const lf_loop *loop) {
  return loop->id;
}

lf_pool *lf_loop_pool(const lf_loop *loop) {
  return loop->pool;
}

const lf_buf *lf_loop_setup(const lf_loop *loop) {
  return &loop->setup;
}

lf_code *lf_loop_code(const lf_loop *loop) {
  return loop->code;
}

const char *lf_loop_name(const lf_loop *loop) {
  return loop->limits && loop->limits->name[0] ? loop->limits->name : NULL;
}

const char *lf_loop_label(const lf_loop *loop) {
  return loop->code ? loop->code->label : "task";
}

/* Under the lock: items that can be claimed. */
static uint64_t unclaimed(const lf_loop *loop) {
  return loop->end - loop->cursor + loop->back;
}

/* Under the lock: the first chunk in the list, if it can be had. */
static lf_chunk *next_ready(lf_loop *loop) {
  if (lf_list_empty(&loop->ready))
    return NULL;
  lf_chunk *c = lf_container_of(loop->ready.next, lf_chunk, link);
  if (c->dropped)
    return NULL;
  return loop->order == LF_UNORDERED || c->done ? c : NULL;
}

/* Under the lock: is the next chunk one that will not be run? */
static bool is_cut_short(lf_loop *loop) {
  return !lf_list_empty(&loop->ready) &&
         lf_container_of(loop->ready.next, lf_chunk, link)->dropped;
}

/* Under the lock. */
static lf_next what_next(lf_loop *loop) {
  if (next_ready(loop))
    return LF_CHUNK;
  if (is_cut_short(loop))
    return LF_STOPPED;
  if (loop->open > 0)
    return LF_WAIT;
  if (unclaimed(loop) == 0 && !loop->lacks)
    return LF_END;
  return loop->stopped ? LF_STOPPED : LF_WAIT;
}

/* Under the lock: what is to be ended now, once, or NULL. */
static lf_task *over_now(lf_loop *loop) {
  if (loop->open > 0 || (unclaimed(loop) > 0 && !loop->stopped))
    return NULL;
  lf_task *over = loop->over;
  loop->over = NULL;
  return over;
}

/* Under the lock. */
static void wake_watchers(lf_loop *loop) {
  for (lf_link *l = loop->watchers.next; l != &loop->watchers; l = l->next) {
    lf_waker *waker = lf_container_of(l, lf_waker, link);
    waker->wake(waker);
  }
}

static void tell(lf_loop *loop) {
  pthread_mutex_lock(&loop->lock);
  wake_watchers(loop);
  lf_task *over = over_now(loop);
  pthread_mutex_unlock(&loop->lock);
  end_over(over);
}

/* Under the lock. The first reason stays. */
static void stop(lf_loop *loop, int err, const char *text) {
  if (loop->stopped)
    return;
  loop->stopped = true;
  loop->stop = (lf_stop){err, text};
  forget_returned(loop);
}

/* --- Runners ----------------------------------------------------------------
 */

typedef struct {
  lf_runner runner;
  lf_clock clock;
} limited_runner;

static lf_clock *clock_of(const lf_task *task) {
  return &lf_container_of(task, limited_runner, runner.task)->clock;
}

lf_runner *lf_runner_new(lf_loop *loop, lf_chunk *chunk) {
  bool limited = loop->limits;
  lf_runner *r = lf_malloc(limited ? sizeof(limited_runner) : sizeof *r);
  if (!r)
    return NULL;
  lf_task_init(&r->task, lf_pool_owner(loop->pool),
               limited ? &lf_limited_runner_ops : &lf_runner_ops);
  r->task.code = loop->code ? lf_code_ref(loop->code) : NULL;
  r->task.strand = loop->strand;
  r->level.priority = limited ? loop->limits->priority : 0;
  r->loop = lf_loop_ref(loop);
  r->chunk = r->current = chunk;
  r->from = NULL;
  r->settled = false;
  if (limited)
    lf_clock_init(clock_of(&r->task), &r->task, loop->limits);
  return r;
}

static void runner_free(lf_task *task) {
  lf_runner *r = lf_runner_of(task);
  if (r->chunk)
    lf_chunk_free(r->chunk);
  if (r->loop)
    lf_loop_unref(r->loop);
  if (lf_task_clock(task))
    lf_clock_fini(clock_of(task));
  lf_free(r);
}

static bool runner_is_awaited(const lf_task *task) {
  return atomic_load(&lf_runner_of(task)->loop->awaiting) > 0;
}

static int submit_runner(lf_loop *loop) {
  lf_runner *r = lf_runner_new(loop, NULL);
  if (!r)
    return LF_ENOMEM;
  int err = lf_pool_submit(loop->pool, &r->task, loop->route);
  if (err == 0 && loop->limits)
    lf_clock_queued(&r->task);
  lf_task_unref(&r->task);
  return err;
}

/* Under the lock: reserves a runner if one more would find something. */
static bool want_runner(lf_loop *loop) {
  uint64_t left = unclaimed(loop);
  uint64_t size = loop->chunksize ? loop->chunksize : 1;
  uint64_t useful = (left + size - 1) / size;
  if (loop->stopped || lf_pool_in_caller(loop->pool) ||
      loop->queued >= lf_pool_max_workers(loop->pool) ||
      (uint64_t)loop->queued >= useful)
    return false;
  loop->queued++;
  return true;
}

/* A runner could not be queued: no harm as long as there are others. */
static void runner_failed(lf_loop *loop, int err) {
  pthread_mutex_lock(&loop->lock);
  loop->queued--;
  if (loop->queued == 0 && loop->open == 0)
    stop(loop, err, lf_pool_broken(loop->pool));
  pthread_mutex_unlock(&loop->lock);
  tell(loop);
}

/* Queues at most 'most' runners, as long as they would find something. */
static void start_runners(lf_loop *loop, int most) {
  int err = 0;
  while (most-- > 0 && err == 0) {
    pthread_mutex_lock(&loop->lock);
    bool wanted = want_runner(loop);
    pthread_mutex_unlock(&loop->lock);
    if (!wanted)
      return;
    err = submit_runner(loop);
    if (err)
      runner_failed(loop, err);
  }
}

/* The chunk's task is about to end. */
static void leave_running(lf_loop *loop, lf_chunk *c) {
  pthread_mutex_lock(&loop->lock);
  lf_list_del(&c->running);
  pthread_mutex_unlock(&loop->lock);
  lf_deadlock_settle();
}

/* Under the lock: a chunk that was claimed will not be run. In order, it marks
 * where the results end. */
static void drop_chunk(lf_loop *loop, lf_chunk *c) {
  c->dropped = true;
  loop->open--;
  if (loop->order == LF_UNORDERED)
    lf_chunk_free(c);
}

/* Under the lock: the chunk has its end, which is this one. False: it had
 * another before, and is the caller's. */
static bool settle(const lf_chunk *c) {
  lf_runner *r = c->task ? lf_runner_of(c->task) : NULL;
  bool first = !r || !r->settled;
  if (r) {
    r->settled = true;
    r->current = NULL;
  }
  return first;
}

void lf_loop_drop(lf_loop *loop, lf_chunk *c) {
  leave_running(loop, c);
  pthread_mutex_lock(&loop->lock);
  bool first = settle(c);
  if (first) {
    drop_chunk(loop, c);
    stop(loop, 0, NULL);
  }
  pthread_mutex_unlock(&loop->lock);
  if (first)
    tell(loop);
  else
    lf_chunk_free(c);
}

/* Under the lock: how many items the next chunk should have. */
static uint64_t chunk_size(lf_loop *loop) {
  uint64_t left = unclaimed(loop);
  uint64_t n = loop->chunksize;
  if (n == 0)
    return lf_chunk_size(left, lf_pool_max_workers(loop->pool), loop->item_ns);
  return n < left ? n : left;
}

/* Under the lock: the block with the item at the cursor; those before it are
 * not needed here any more. */
static lf_block *current_block(lf_loop *loop) {
  while (!lf_list_empty(&loop->blocks)) {
    struct held *h = lf_container_of(loop->blocks.next, struct held, link);
    if (loop->cursor < h->block->first + h->block->count)
      return h->block;
    lf_list_del(&h->link);
    free_held(h);
  }
  return NULL;
}

/* Under the lock: some of what has been given back, for 'c' or in its place. */
static lf_chunk *take_returned(lf_loop *loop, lf_chunk *c) {
  lf_chunk *rest = lf_container_of(loop->returned.next, lf_chunk, returned);
  uint64_t n = chunk_size(loop);
  if (n >= rest->count) {
    lf_chunk_free(c);
    lf_list_del(&rest->returned);
    loop->back -= rest->count;
    return rest;
  }
  c->first = rest->first;
  c->count = n;
  c->block = rest->block;
  if (c->block)
    lf_block_ref(c->block);
  rest->first += n;
  rest->count -= n;
  loop->back -= n;
  if (loop->order == LF_ORDERED)
    lf_list_add(&rest->link, &c->link);
  return c;
}

/* Under the lock: the rest of a chunk that is done is to be claimed again.
 * False: no memory. */
static bool give_back(lf_loop *loop, lf_chunk *c) {
  lf_chunk *rest = lf_chunk_new();
  if (!rest)
    return false;
  c->count -= c->rest;
  rest->first = c->first + c->count;
  rest->count = c->rest;
  rest->block = c->block;
  if (rest->block)
    lf_block_ref(rest->block);
  c->rest = 0;
  loop->back += rest->count;
  lf_list_add(&loop->returned, &rest->returned);
  if (loop->order == LF_ORDERED)
    lf_list_add(c->link.next, &rest->link);
  if (loop->stopped)
    forget_returned(loop);
  return true;
}

/* Under the lock: the chunk has no results from there on. */
static void fail_rest(lf_chunk *c) {
  c->rest = 0;
  c->failed = true;
  lf_buf_no_memory(&c->why);
}

bool lf_chunk_overruns(const lf_chunk *c, lf_pool *pool, int64_t since) {
  return c->shareable && lf_pool_is_hungry(pool) && lf_chunk_is_long(since);
}

/* Under the lock. */
static void cut_chunk(lf_loop *loop, lf_chunk *c) {
  uint64_t n = chunk_size(loop);
  c->first = loop->cursor;
  c->count = n < loop->end - loop->cursor ? n : loop->end - loop->cursor;
  lf_block *b = current_block(loop);
  if (b) {
    uint64_t left = b->first + b->count - loop->cursor;
    c->count = c->count < left ? c->count : left;
    c->block = lf_block_ref(b);
  }
  loop->cursor += c->count;
  if (loop->order == LF_ORDERED)
    lf_list_add(&loop->ready, &c->link);
}

/* Under the lock: the next chunk of those that are to be run. */
static lf_chunk *next_chunk(lf_loop *loop, lf_chunk *c) {
  if (loop->back > 0)
    c = take_returned(loop, c);
  else
    cut_chunk(loop, c);
  c->shareable =
      loop->chunksize == 0 && !loop->strand && loop->route == LF_TAIL;
  loop->open++;
  return c;
}

lf_chunk *lf_loop_claim(lf_loop *loop, lf_runner *runner) {
  lf_task *task = runner ? &runner->task : NULL;
  lf_chunk *c = runner ? runner->chunk : NULL;
  if (c) { /* it was claimed before, or came with the runner */
    runner->chunk = NULL;
    c->task = task;
    return c;
  }
  c = lf_chunk_new();
  pthread_mutex_lock(&loop->lock);
  if (task)
    loop->queued--;
  if (lf_pool_epoch(loop->pool) != loop->epoch)
    stop(loop, 0, NULL); /* cancelled while no runner was queued */
  if (!c && unclaimed(loop) > 0)
    stop(loop, LF_ENOMEM, NULL);
  bool some = c && !loop->stopped && unclaimed(loop) > 0;
  if (some)
    c = next_chunk(loop, c);
  if (some && task) {
    c->task = task;
    lf_list_add(&loop->running, &c->running);
  }
  if (runner) {
    runner->current = some ? c : NULL;
    runner->settled = !some;
  }
  pthread_mutex_unlock(&loop->lock);
  if (!some) {
    if (c)
      lf_chunk_free(c);
    tell(loop);
    return NULL;
  }
  if (task)
    start_runners(loop, 1);
  return c;
}

/* What is to be done without the lock after a chunk has its end. */
typedef struct {
  lf_task *over;
  bool stalled; /* the next runner could not be queued, or there was no need */
} sequel;

/* Under the lock. */
static sequel add_done(lf_loop *loop, lf_chunk *c, int64_t ns) {
  if (c->rest > 0 && !give_back(loop, c))
    fail_rest(c);
  uint64_t item = (uint64_t)ns / c->count + 1;
  if (ns > 0) /* else it was lost */
    loop->item_ns = loop->item_ns ? (loop->item_ns + item) / 2 : item;
  loop->open--;
  loop->finished += c->count;
  c->done = true;
  if (loop->order == LF_UNORDERED)
    lf_list_add(&loop->ready, &c->link);
  if (!lf_list_empty(&loop->watchers) && what_next(loop) != LF_WAIT)
    wake_watchers(loop);
  bool stalled = (loop->open == 0 && loop->queued == 0) || loop->back > 0;
  return (sequel){over_now(loop), stalled};
}

/* The items are calls of the loop's function. */
static void count_done(const lf_loop *loop, const lf_chunk *c, int64_t ns) {
  lf_times times = {.received = c->out.len};
  if (c->block && c->block->count > 0)
    times.sent = c->block->bytes.len * c->finished / c->block->count;
  if (ns > 0)
    times.begun = lf_now() - ns;
  times.ns[LF_PHASE_RUN] = ns;
  lf_profile_chunk(lf_pool_profile(loop->pool),
                   lf_limits_counted(loop->limits, loop->code), c->finished,
                   c->failures, &times);
}

uint64_t lf_loop_finished(lf_loop *loop) {
  pthread_mutex_lock(&loop->lock);
  uint64_t n = loop->finished;
  pthread_mutex_unlock(&loop->lock);
  return n;
}

static void conclude(lf_loop *loop, const sequel *after) {
  lf_deadlock_settle();
  end_over(after->over);
  if (after->stalled)
    start_runners(loop, lf_pool_max_workers(loop->pool));
}

void lf_loop_done(lf_loop *loop, lf_chunk *c, int64_t ns) {
  lf_runner *r = c->task ? lf_runner_of(c->task) : NULL;
  bool foreign = loop->foreign_done;
  sequel after = {0};
  pthread_mutex_lock(&loop->lock);
  lf_list_del(&c->running);
  bool first = settle(c);
  if (first && !foreign) {
    count_done(loop, c, ns);
    after = add_done(loop, c, ns);
  }
  pthread_mutex_unlock(&loop->lock);
  if (!first)
    lf_chunk_free(c);
  else if (foreign)
    loop->foreign_done(r, c, ns);
  else
    conclude(loop, &after);
}

/* --- How runners end that have not run their chunk --- */

/* The runner has been ended in place of who runs its chunk, and may still do
 * so: another chunk takes the place of that one. (Without memory, the items
 * have to wait for its end.) */
static void end_forced(lf_runner *r) {
  lf_loop *loop = r->loop;
  lf_chunk *n = lf_chunk_new();
  sequel after = {0};
  pthread_mutex_lock(&loop->lock);
  lf_chunk *c = n ? r->current : NULL;
  if (c) {
    n->first = c->first;
    n->count = c->count;
    n->failed = true;
    n->reason = lf_task_reason(&r->task);
    lf_list_del(&c->running);
    if (!lf_list_empty(&c->link)) {
      lf_list_add(&c->link, &n->link);
      lf_list_del(&c->link);
    }
    settle(c);
    if (!loop->foreign_done)
      after = add_done(loop, n, 0);
  }
  pthread_mutex_unlock(&loop->lock);
  if (!c && n)
    lf_chunk_free(n);
  else if (c && loop->foreign_done)
    loop->foreign_done(r, n, 0);
  else if (c)
    conclude(loop, &after);
}

/* It has not begun in time: that is what has become of the next item. */
static void end_late(lf_runner *r) {
  lf_chunk *c = lf_loop_claim(r->loop, r);
  if (!c)
    return;
  c->failed = true;
  c->reason = LF_STOP_QUEUE;
  lf_loop_done(r->loop, c, 0);
}

/* Under the lock. */
static void stop_for(lf_loop *loop, lf_state state, lf_chunk *c) {
  if (c)
    drop_chunk(loop, c);
  else
    loop->queued--;
  const char *broken = lf_pool_broken(loop->pool);
  if (state == LF_CANCELLED)
    stop(loop, 0, NULL);
  else
    stop(loop, broken ? LF_EBROKEN : LF_ETHREAD, broken);
}

static void end_unrun(lf_runner *r, lf_state state) {
  lf_loop *loop = r->loop;
  lf_chunk *c = r->chunk;
  r->chunk = NULL;
  if (c)
    leave_running(loop, c);
  if (loop->foreign_done && c) {
    c->dropped = true;
    loop->foreign_done(r, c, 0);
  }
  if (loop->foreign_done)
    return;
  pthread_mutex_lock(&loop->lock);
  stop_for(loop, state, c);
  pthread_mutex_unlock(&loop->lock);
  tell(loop);
}

static void runner_done(lf_task *task) {
  lf_runner *r = lf_runner_of(task);
  lf_state state = lf_task_state(task);
  if (state == LF_FINISHED)
    return;
  pthread_mutex_lock(&r->loop->lock);
  bool settled = r->settled;
  pthread_mutex_unlock(&r->loop->lock);
  if (lf_task_is_forced(task))
    end_forced(r);
  else if (!settled && lf_task_reason(task) == LF_STOP_QUEUE)
    end_late(r);
  else if (!settled)
    end_unrun(r, state);
}

static lf_level *runner_level(lf_task *task) {
  return &lf_runner_of(task)->level;
}

const lf_task_ops lf_runner_ops = {
    .done = runner_done,
    .is_awaited = runner_is_awaited,
    .free = runner_free,
    .level = runner_level,
};

static void runner_moved(lf_task *task, lf_state from, lf_state to) {
  lf_clock_moved(clock_of(task), from, to);
}

static const char *runner_name(const lf_task *task) {
  return lf_clock_name(clock_of(task));
}

const lf_task_ops lf_limited_runner_ops = {
    .done = runner_done,
    .is_awaited = runner_is_awaited,
    .free = runner_free,
    .moved = runner_moved,
    .level = runner_level,
    .clock = clock_of,
    .name = runner_name,
};

/* --- The consumer --- */

int lf_loop_supply(lf_loop *loop, lf_block *block, uint64_t end) {
  struct held *h = NULL;
  if (block) {
    h = lf_malloc(sizeof *h);
    if (!h) {
      lf_block_unref(block);
      return LF_ENOMEM;
    }
    h->block = block;
  }
  pthread_mutex_lock(&loop->lock);
  if (h)
    lf_list_add(&loop->blocks, &h->link);
  loop->end = end;
  pthread_mutex_unlock(&loop->lock);
  start_runners(loop, lf_pool_max_workers(loop->pool));
  return 0;
}

uint64_t lf_loop_window(lf_loop *loop) {
  uint64_t workers = (uint64_t)lf_pool_max_workers(loop->pool);
  pthread_mutex_lock(&loop->lock);
  uint64_t size = loop->chunksize;
  uint64_t usual = lf_chunk_usual_size(loop->item_ns);
  pthread_mutex_unlock(&loop->lock);
  size = size ? size : usual;
  if (lf_pool_parks(loop->pool))
    return PARKED_WINDOW;
  return 4 * workers * (size < LF_CHUNK_MAX ? size : LF_CHUNK_MAX);
}

lf_next lf_loop_next(lf_loop *loop, lf_chunk **chunk, lf_stop *why) {
  pthread_mutex_lock(&loop->lock);
  lf_next next = what_next(loop);
  if (next == LF_CHUNK) {
    *chunk = next_ready(loop);
    lf_list_del(&(*chunk)->link);
  } else if (next == LF_STOPPED) {
    *why = loop->stop;
  }
  pthread_mutex_unlock(&loop->lock);
  return next;
}

bool lf_loop_watch(lf_loop *loop, lf_waker *waker) {
  pthread_mutex_lock(&loop->lock);
  lf_list_add(&loop->watchers, &waker->link);
  bool wait = what_next(loop) == LF_WAIT;
  pthread_mutex_unlock(&loop->lock);
  return wait;
}

void lf_loop_unwatch(lf_loop *loop, lf_waker *waker) {
  pthread_mutex_lock(&loop->lock);
  lf_list_del(&waker->link);
  pthread_mutex_unlock(&loop->lock);
}

lf_waits *lf_loop_waits(lf_loop *loop) {
  return &loop->waits;
}

/* How far a runner with a chunk has been ended with its loop. */
enum { NOT_ENDED, PENDING_ENDED, RUNNING_ENDED };

/* Under the lock: a runner with a chunk that has not been ended so far, with a
 * reference; NULL: there is none. */
static lf_task *next_runner(lf_loop *loop, int ended) {
  for (lf_link *l = loop->running.next; l != &loop->running; l = l->next) {
    lf_chunk *c = lf_container_of(l, lf_chunk, running);
    if (c->ended >= ended)
      continue;
    c->ended = (unsigned char)ended;
    return lf_task_ref(c->task);
  }
  return NULL;
}

/* Nothing more is claimed, and what has been is ended that way. */
static void end(lf_loop *loop, int ended, bool (*how)(lf_task *runner)) {
  pthread_mutex_lock(&loop->lock);
  stop(loop, 0, NULL);
  drop_blocks(loop);
  wake_watchers(loop);
  lf_task *over = over_now(loop), *t;
  pthread_mutex_unlock(&loop->lock);
  end_over(over);
  lf_pool_recall(loop->pool, loop);
  do {
    pthread_mutex_lock(&loop->lock);
    t = next_runner(loop, ended);
    pthread_mutex_unlock(&loop->lock);
    if (t) {
      how(t);
      lf_task_unref(t);
    }
  } while (t);
}

void lf_loop_close(lf_loop *loop) {
  end(loop, PENDING_ENDED, lf_pool_cancel);
}

void lf_loop_stop(lf_loop *loop) {
  end(loop, RUNNING_ENDED, lf_pool_cancel_running);
}

void lf_loop_seal(lf_loop *loop, lf_task *over) {
  pthread_mutex_lock(&loop->lock);
  loop->over = over;
  over = over_now(loop);
  pthread_mutex_unlock(&loop->lock);
  end_over(over);
}
