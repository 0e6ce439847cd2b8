/* SPDX-License-Identifier: MIT
 *
 * See loop.h. The size of chunks follows guided self-scheduling
 * (Polychronopoulos and Kuck, 1987), bounded by time on both sides. */
#include "runtime/pool/loop.h"

#include "runtime/base/mem.h"

enum {
  CHUNK_NS = 1000000,   /* what a chunk should take, */
  OVERRUN_NS = 3000000, /* and what is too long while others are idle */
  LEAST_NS = 50000,     /* what it takes at least, towards the end */
  CHUNK_MAX = LF_LIMIT(1 << 20, 64),
};

struct lf_loop {
  _Atomic size_t refs;
  uint64_t id;
  uint64_t epoch;           /* of the pool when the loop began */
  lf_pool *pool;            /* a reference */
  lf_code *code;            /* a reference, or NULL */
  struct lf_strand *strand; /* of its runners, or NULL */
  lf_route route;           /* where they go */
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
  lf_loop *j = lf_container_of(waits, lf_loop, waits);
  pthread_mutex_lock(&j->lock);
  for (lf_link *l = j->running.next; l != &j->running; l = l->next)
    if (!visit(lf_container_of(l, lf_chunk, running)->task, arg))
      break;
  pthread_mutex_unlock(&j->lock);
}

static void count_wait(lf_waits *waits, int by) {
  atomic_fetch_add(&lf_container_of(waits, lf_loop, waits)->awaiting,
                   (uint32_t)by);
}

lf_loop *lf_loop_new(lf_pool *pool, lf_buf *setup, lf_code *code,
                     uint64_t chunksize, lf_order order) {
  lf_loop *j = lf_zalloc(sizeof *j);
  if (!j)
    return NULL;
  if (lf_buf_move(&j->setup, setup) != 0) {
    lf_free(j);
    return NULL;
  }
  atomic_init(&j->refs, 1);
  j->id = atomic_fetch_add(&last_id, 1) + 1;
  j->pool = lf_pool_ref(pool);
  j->epoch = lf_pool_epoch(pool);
  j->code = code ? lf_code_ref(code) : NULL;
  j->chunksize = chunksize;
  j->order = order;
  j->waits = (lf_waits){.each = each_runner, .count = count_wait};
  lf_list_init(&j->running);
  lf_list_init(&j->blocks);
  lf_list_init(&j->ready);
  lf_list_init(&j->watchers);
  lf_list_init(&j->returned);
  j->route = LF_TAIL;
  pthread_mutex_init(&j->lock, NULL);
  return j;
}

void lf_loop_restrict(lf_loop *loop, struct lf_strand *strand, bool affine) {
  loop->strand = strand;
  loop->route = affine ? LF_ROUTE_AFFINE : LF_TAIL;
}

lf_route lf_loop_route(const lf_loop *loop) {
  return loop->route;
}

lf_loop *lf_loop_import(lf_pool *pool, lf_buf *setup, lf_chunk_done *done) {
  lf_loop *j = lf_loop_new(pool, setup, NULL, 1, LF_ORDERED);
  if (j)
    j->foreign_done = done;
  return j;
}

lf_loop *lf_loop_ref(lf_loop *loop) {
  atomic_fetch_add(&loop->refs, 1);
  return loop;
}

static void drop_blocks(lf_loop *j) {
  lf_link *l;
  while ((l = lf_list_pop(&j->blocks))) {
    struct held *h = lf_container_of(l, struct held, link);
    lf_block_unref(h->block);
    lf_free(h);
  }
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
static void forget_returned(lf_loop *j) {
  lf_link *l;
  while ((l = lf_list_pop(&j->returned))) {
    lf_chunk *c = lf_container_of(l, lf_chunk, returned);
    c->dropped = j->lacks = true;
    if (j->order == LF_UNORDERED)
      lf_chunk_free(c);
  }
  j->back = 0;
}

void lf_loop_unref(void *loop) {
  lf_loop *j = loop;
  if (atomic_fetch_sub(&j->refs, 1) != 1)
    return;
  lf_link *l;
  end_over(j->over);
  forget_returned(j);
  while ((l = lf_list_pop(&j->ready)))
    lf_chunk_free(lf_container_of(l, lf_chunk, link));
  drop_blocks(j);
  lf_buf_fini(&j->setup);
  if (j->code)
    lf_code_unref(j->code);
  lf_pool_unref(j->pool);
  pthread_mutex_destroy(&j->lock);
  lf_free(j);
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

const char *lf_loop_label(const lf_loop *loop) {
  return loop->code ? loop->code->label : "task";
}

/* Under the lock: items that can be claimed. */
static uint64_t unclaimed(const lf_loop *j) {
  return j->end - j->cursor + j->back;
}

/* Under the lock: the first chunk in the list, if it can be had. */
static lf_chunk *next_ready(lf_loop *j) {
  if (lf_list_empty(&j->ready))
    return NULL;
  lf_chunk *c = lf_container_of(j->ready.next, lf_chunk, link);
  if (c->dropped)
    return NULL;
  return j->order == LF_UNORDERED || c->done ? c : NULL;
}

/* Under the lock: is the next chunk one that will not be run? */
static bool is_cut_short(lf_loop *j) {
  return !lf_list_empty(&j->ready) &&
         lf_container_of(j->ready.next, lf_chunk, link)->dropped;
}

/* Under the lock. */
static lf_next what_next(lf_loop *j) {
  if (next_ready(j))
    return LF_CHUNK;
  if (is_cut_short(j))
    return LF_STOPPED;
  if (j->open > 0)
    return LF_WAIT;
  if (unclaimed(j) == 0 && !j->lacks)
    return LF_END;
  return j->stopped ? LF_STOPPED : LF_WAIT;
}

/* Under the lock: what is to be ended now, once, or NULL. */
static lf_task *over_now(lf_loop *j) {
  if (j->open > 0 || (unclaimed(j) > 0 && !j->stopped))
    return NULL;
  lf_task *over = j->over;
  j->over = NULL;
  return over;
}

/* Under the lock. */
static void wake_watchers(lf_loop *j) {
  for (lf_link *l = j->watchers.next; l != &j->watchers; l = l->next) {
    lf_waker *waker = lf_container_of(l, lf_waker, link);
    waker->wake(waker);
  }
}

static void tell(lf_loop *j) {
  pthread_mutex_lock(&j->lock);
  wake_watchers(j);
  lf_task *over = over_now(j);
  pthread_mutex_unlock(&j->lock);
  end_over(over);
}

/* Under the lock. The first reason stays. */
static void stop(lf_loop *j, int err, const char *text) {
  if (j->stopped)
    return;
  j->stopped = true;
  j->stop = (lf_stop){err, text};
  forget_returned(j);
}

/* --- Runners ----------------------------------------------------------------
 */

lf_runner *lf_runner_new(lf_loop *j, lf_chunk *chunk) {
  lf_runner *r = lf_malloc(sizeof *r);
  if (!r)
    return NULL;
  lf_task_init(&r->task, lf_pool_owner(j->pool), &lf_runner_ops);
  r->task.code = j->code ? lf_code_ref(j->code) : NULL;
  r->task.strand = j->strand;
  r->loop = lf_loop_ref(j);
  r->chunk = chunk;
  r->from = NULL;
  return r;
}

static void runner_free(lf_task *task) {
  lf_runner *r = lf_runner_of(task);
  if (r->chunk)
    lf_chunk_free(r->chunk);
  if (r->loop)
    lf_loop_unref(r->loop);
  lf_free(r);
}

static bool runner_is_awaited(const lf_task *task) {
  return atomic_load(&lf_runner_of(task)->loop->awaiting) > 0;
}

static int submit_runner(lf_loop *j) {
  lf_runner *r = lf_runner_new(j, NULL);
  if (!r)
    return LF_ENOMEM;
  int err = lf_pool_submit(j->pool, &r->task, j->route);
  lf_task_unref(&r->task);
  return err;
}

/* Under the lock: reserves a runner if one more would find something. */
static bool want_runner(lf_loop *j) {
  uint64_t left = unclaimed(j);
  uint64_t size = j->chunksize ? j->chunksize : 1;
  uint64_t useful = (left + size - 1) / size;
  if (j->stopped || lf_pool_in_caller(j->pool) ||
      j->queued >= lf_pool_max_workers(j->pool) ||
      (uint64_t)j->queued >= useful)
    return false;
  j->queued++;
  return true;
}

/* A runner could not be queued: no harm as long as there are others. */
static void runner_failed(lf_loop *j, int err) {
  pthread_mutex_lock(&j->lock);
  j->queued--;
  if (j->queued == 0 && j->open == 0)
    stop(j, err, lf_pool_broken(j->pool));
  pthread_mutex_unlock(&j->lock);
  tell(j);
}

/* Queues at most 'most' runners, as long as they would find something. */
static void start_runners(lf_loop *j, int most) {
  int err = 0;
  while (most-- > 0 && err == 0) {
    pthread_mutex_lock(&j->lock);
    bool wanted = want_runner(j);
    pthread_mutex_unlock(&j->lock);
    if (!wanted)
      return;
    err = submit_runner(j);
    if (err)
      runner_failed(j, err);
  }
}

/* The chunk's task is about to end. */
static void leave_running(lf_loop *j, lf_chunk *c) {
  pthread_mutex_lock(&j->lock);
  lf_list_del(&c->running);
  pthread_mutex_unlock(&j->lock);
  lf_deadlock_settle();
}

/* Under the lock: a chunk that was claimed will not be run. In order, it marks
 * where the results end. */
static void drop_chunk(lf_loop *j, lf_chunk *c) {
  c->dropped = true;
  j->open--;
  if (j->order == LF_UNORDERED)
    lf_chunk_free(c);
}

void lf_loop_drop(lf_loop *j, lf_chunk *c) {
  leave_running(j, c);
  pthread_mutex_lock(&j->lock);
  drop_chunk(j, c);
  stop(j, 0, NULL);
  pthread_mutex_unlock(&j->lock);
  tell(j);
}

/* Under the lock: a runner has ended without having run its chunk. */
static void stop_for(lf_loop *j, lf_state state, lf_chunk *c) {
  if (c)
    drop_chunk(j, c);
  else
    j->queued--;
  const char *broken = lf_pool_broken(j->pool);
  if (state == LF_CANCELLED)
    stop(j, 0, NULL);
  else
    stop(j, broken ? LF_EBROKEN : LF_ETHREAD, broken);
}

static void runner_done(lf_task *task) {
  lf_runner *r = lf_runner_of(task);
  lf_loop *j = r->loop;
  lf_state state = lf_task_state(task);
  lf_chunk *c = r->chunk;
  if (state == LF_FINISHED)
    return;
  r->chunk = NULL;
  if (c)
    leave_running(j, c);
  if (j->foreign_done && c) {
    c->dropped = true;
    j->foreign_done(r, c, 0);
  }
  if (j->foreign_done)
    return;
  pthread_mutex_lock(&j->lock);
  stop_for(j, state, c);
  pthread_mutex_unlock(&j->lock);
  tell(j);
}

const lf_task_ops lf_runner_ops = {
    .done = runner_done, .is_awaited = runner_is_awaited, .free = runner_free};

/* Under the lock: how many items the next chunk should have. */
static uint64_t chunk_size(lf_loop *j) {
  uint64_t left = unclaimed(j);
  uint64_t n = j->chunksize;
  if (n == 0) {
    uint64_t share = left / (2 * (uint64_t)lf_pool_max_workers(j->pool));
    uint64_t least = j->item_ns ? LEAST_NS / j->item_ns : 1;
    n = j->item_ns ? CHUNK_NS / j->item_ns : 1;
    n = n > share ? share : n;
    n = n < least ? least : n;
    n = n > CHUNK_MAX ? CHUNK_MAX : n;
    n = n < 1 ? 1 : n;
  }
  return n < left ? n : left;
}

/* Under the lock: the block with the item at the cursor; those before it are
 * not needed here any more. */
static lf_block *current_block(lf_loop *j) {
  while (!lf_list_empty(&j->blocks)) {
    struct held *h = lf_container_of(j->blocks.next, struct held, link);
    if (j->cursor < h->block->first + h->block->count)
      return h->block;
    lf_list_del(&h->link);
    lf_block_unref(h->block);
    lf_free(h);
  }
  return NULL;
}

/* Under the lock: some of what has been given back, for 'c' or in its place. */
static lf_chunk *take_returned(lf_loop *j, lf_chunk *c) {
  lf_chunk *rest = lf_container_of(j->returned.next, lf_chunk, returned);
  uint64_t n = chunk_size(j);
  if (n >= rest->count) {
    lf_chunk_free(c);
    lf_list_del(&rest->returned);
    j->back -= rest->count;
    return rest;
  }
  c->first = rest->first;
  c->count = n;
  c->block = rest->block;
  if (c->block)
    atomic_fetch_add(&c->block->refs, 1);
  rest->first += n;
  rest->count -= n;
  j->back -= n;
  if (j->order == LF_ORDERED)
    lf_list_add(&rest->link, &c->link);
  return c;
}

/* Under the lock: the rest of a chunk that is done is to be claimed again.
 * False: no memory. */
static bool give_back(lf_loop *j, lf_chunk *c) {
  lf_chunk *rest = lf_chunk_new();
  if (!rest)
    return false;
  c->count -= c->rest;
  rest->first = c->first + c->count;
  rest->count = c->rest;
  rest->block = c->block;
  if (rest->block)
    atomic_fetch_add(&rest->block->refs, 1);
  c->rest = 0;
  j->back += rest->count;
  lf_list_add(&j->returned, &rest->returned);
  if (j->order == LF_ORDERED)
    lf_list_add(c->link.next, &rest->link);
  if (j->stopped)
    forget_returned(j);
  return true;
}

/* Under the lock: the chunk has no results from there on. */
static void fail_rest(lf_chunk *c) {
  c->rest = 0;
  c->failed = true;
  lf_buf_no_memory(&c->why);
}

bool lf_chunk_overruns(const lf_chunk *c, lf_pool *pool, int64_t since) {
  return c->shareable && lf_pool_is_hungry(pool) &&
         lf_now() - since > OVERRUN_NS;
}

/* Under the lock. */
static void cut_chunk(lf_loop *j, lf_chunk *c) {
  uint64_t n = chunk_size(j);
  c->first = j->cursor;
  c->count = n < j->end - j->cursor ? n : j->end - j->cursor;
  lf_block *b = current_block(j);
  if (b) {
    uint64_t left = b->first + b->count - j->cursor;
    c->count = c->count < left ? c->count : left;
    c->block = b;
    atomic_fetch_add(&b->refs, 1);
  }
  j->cursor += c->count;
  if (j->order == LF_ORDERED)
    lf_list_add(&j->ready, &c->link);
}

/* Under the lock: the next chunk of those that are to be run. */
static lf_chunk *next_chunk(lf_loop *j, lf_chunk *c) {
  if (j->back > 0)
    c = take_returned(j, c);
  else
    cut_chunk(j, c);
  c->shareable = j->chunksize == 0 && !j->strand && j->route == LF_TAIL;
  j->open++;
  return c;
}

lf_chunk *lf_loop_claim(lf_loop *j, lf_runner *runner) {
  lf_task *task = runner ? &runner->task : NULL;
  lf_chunk *c = runner ? runner->chunk : NULL;
  if (c) { /* it was claimed before, or came with the runner */
    runner->chunk = NULL;
    c->task = task;
    return c;
  }
  c = lf_chunk_new();
  pthread_mutex_lock(&j->lock);
  if (task)
    j->queued--;
  if (lf_pool_epoch(j->pool) != j->epoch)
    stop(j, 0, NULL); /* cancelled while no runner was queued */
  if (!c && unclaimed(j) > 0)
    stop(j, LF_ENOMEM, NULL);
  bool some = c && !j->stopped && unclaimed(j) > 0;
  if (some)
    c = next_chunk(j, c);
  if (some && task) {
    c->task = task;
    lf_list_add(&j->running, &c->running);
  }
  pthread_mutex_unlock(&j->lock);
  if (!some) {
    if (c)
      lf_chunk_free(c);
    tell(j);
    return NULL;
  }
  if (task)
    start_runners(j, 1);
  return c;
}

void lf_loop_done(lf_loop *j, lf_chunk *c, int64_t ns) {
  if (j->foreign_done) {
    j->foreign_done(lf_runner_of(c->task), c, ns);
    return;
  }
  pthread_mutex_lock(&j->lock);
  if (c->task)
    lf_list_del(&c->running);
  if (c->rest > 0 && !give_back(j, c))
    fail_rest(c);
  uint64_t item = (uint64_t)ns / c->count + 1;
  if (ns > 0) /* else it was lost */
    j->item_ns = j->item_ns ? (j->item_ns + item) / 2 : item;
  j->open--;
  c->done = true;
  if (j->order == LF_UNORDERED)
    lf_list_add(&j->ready, &c->link);
  if (!lf_list_empty(&j->watchers) && what_next(j) != LF_WAIT)
    wake_watchers(j);
  bool stalled = (j->open == 0 && j->queued == 0) || j->back > 0;
  lf_task *over = over_now(j);
  pthread_mutex_unlock(&j->lock);
  lf_deadlock_settle();
  end_over(over);
  if (stalled) /* the next runner could not be queued, or there was no need */
    start_runners(j, lf_pool_max_workers(j->pool));
}

/* --- The consumer --- */

int lf_loop_supply(lf_loop *j, lf_block *block, uint64_t end) {
  struct held *h = NULL;
  if (block) {
    h = lf_malloc(sizeof *h);
    if (!h) {
      lf_block_unref(block);
      return LF_ENOMEM;
    }
    h->block = block;
  }
  pthread_mutex_lock(&j->lock);
  if (h)
    lf_list_add(&j->blocks, &h->link);
  j->end = end;
  pthread_mutex_unlock(&j->lock);
  start_runners(j, lf_pool_max_workers(j->pool));
  return 0;
}

uint64_t lf_loop_window(lf_loop *j) {
  uint64_t workers = (uint64_t)lf_pool_max_workers(j->pool);
  pthread_mutex_lock(&j->lock);
  uint64_t size = j->chunksize;
  if (size == 0)
    size = j->item_ns ? CHUNK_NS / j->item_ns + 1 : 1;
  pthread_mutex_unlock(&j->lock);
  return 4 * workers * (size < CHUNK_MAX ? size : CHUNK_MAX);
}

lf_next lf_loop_next(lf_loop *j, lf_chunk **chunk, lf_stop *why) {
  pthread_mutex_lock(&j->lock);
  lf_next next = what_next(j);
  if (next == LF_CHUNK) {
    *chunk = next_ready(j);
    lf_list_del(&(*chunk)->link);
  } else if (next == LF_STOPPED) {
    *why = j->stop;
  }
  pthread_mutex_unlock(&j->lock);
  return next;
}

bool lf_loop_watch(lf_loop *j, lf_waker *waker) {
  pthread_mutex_lock(&j->lock);
  lf_list_add(&j->watchers, &waker->link);
  bool wait = what_next(j) == LF_WAIT;
  pthread_mutex_unlock(&j->lock);
  return wait;
}

void lf_loop_unwatch(lf_loop *j, lf_waker *waker) {
  pthread_mutex_lock(&j->lock);
  lf_list_del(&waker->link);
  pthread_mutex_unlock(&j->lock);
}

lf_waits *lf_loop_waits(lf_loop *j) {
  return &j->waits;
}

void lf_loop_close(lf_loop *j) {
  pthread_mutex_lock(&j->lock);
  stop(j, 0, NULL);
  drop_blocks(j);
  wake_watchers(j);
  lf_task *over = over_now(j);
  pthread_mutex_unlock(&j->lock);
  end_over(over);
  lf_pool_recall(j->pool, j);
}

void lf_loop_seal(lf_loop *j, lf_task *over) {
  pthread_mutex_lock(&j->lock);
  j->over = over;
  over = over_now(j);
  pthread_mutex_unlock(&j->lock);
  end_over(over);
}
