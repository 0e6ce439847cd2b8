/* SPDX-License-Identifier: MIT
 *
 * See client.h, internal.h. */
#include "runtime/cluster/internal.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/clocks.h"
#include "runtime/cluster/functions.h"
#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/os/spin.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/threads.h"
#include "runtime/process/task_io.h"
#include "runtime/task/chain.h"

#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Seconds to connect, between two tries, and for its own member to join. */
#define DIAL 5.0
#define REST 0.1
#define START 30.0

enum { BEAT = LF_CLIENT_LEASE / 4, FAREWELL_MS = 2000 };

#define NS_PER_MS INT64_C(1000000)

static void *self(void *pool) {
  return lf_pool_handle(pool);
}

/* A future that is told to a member, with its outcome in front (put_futures):
 * the number is only known in one entry. None comes back. */
static uint64_t name(void *pool, lf_task *future) {
  (void)pool;
  return (uintptr_t)future;
}

static lf_task *find(void *pool, uint64_t id) {
  (void)pool, (void)id;
  return NULL;
}

/* --- Results --- */

static void take_result(lf_reader *reader, const char *bytes, size_t len) {
  lf_client_receive(lf_container_of(reader, lf_cluster, reader), bytes, len);
}

static void has_results(lf_reader *reader) {
  lf_cluster *cl = lf_container_of(reader, lf_cluster, reader);
  pthread_cond_broadcast(&cl->changed);
}

/* From the beginning, under the client's id. */
static void begin_reading(lf_cluster *cl) {
  cl->reader =
      (lf_reader){.take = take_result, .more = has_results, .last = "0"};
  snprintf(cl->reader.key, sizeof cl->reader.key, "lfut:results:%s", cl->id);
}

/* --- Connecting --- */

/* How the workers start, as a message with the functions that it names. */
static int put_setup(lf_cluster *cl, lf_buf *out) {
  lf_channel end;
  lf_msg msg = {.kind = LF_MSG_SETUP, .a = cl->pool->o.max_tasks};
  const char *name = cl->pool->o.name;
  lf_payload payload = {.body = cl->o.setup, .to = cl->o.setup->len};
  payload.tail = name;
  payload.tail_len = strlen(name);
  lf_channel_init_memory(&end, NULL, NULL, NULL);
  end.sink = out;
  int err = lf_channel_send(&end, &msg, &payload);
  lf_channel_fini(&end);
  return err;
}

/* Makes the client known under a new id. */
static bool introduce(lf_cluster *cl, lf_redis *redis, const char *id,
                      char *why, size_t size) {
  lf_digits lease;
  lf_buf setup;
  redisReply *reply = NULL;
  lf_buf_init(&setup, NULL, 0);
  if (put_setup(cl, &setup) == 0) {
    const lf_arg args[] = {lf_arg_text(id),
                           lf_arg_text(lf_cluster_version()),
                           lf_arg_int(lease, LF_CLIENT_LEASE),
                           {setup.data, setup.len}};
    reply = lf_call_ask(redis, LF_FUNCTION("open"), args, 4);
  }
  lf_buf_fini(&setup);
  if (reply && reply->type == REDIS_REPLY_INTEGER)
    lf_client_note_workers(cl, (int)reply->integer);
  return lf_call_is_let_in(reply, why, size);
}

/* How many workers there are; -1: the server does not know us. */
static int beat_now(const lf_cluster *cl, lf_redis *redis) {
  return lf_call_beat(redis, "clients", cl->id, LF_CLIENT_LEASE);
}

/* Under the lock: what the server may not have got is sent once more. */
static void put_unanswered(lf_cluster *cl) {
  for (lf_link *l = cl->batches.next, *next; l != &cl->batches; l = next) {
    lf_batch *b = lf_container_of(l, lf_batch, link);
    next = l->next;
    if (!b->id[0]) {
      lf_batch_store(b);
      (void)lf_client_put(b, true);
    }
  }
}

/* Under the lock: these are the connections from now on. */
static void adopt(lf_cluster *cl, lf_redis *commands, lf_redis *results,
                  const char *id) {
  cl->commands = commands;
  cl->results = results;
  cl->until = 0;
  cl->next_beat = lf_now() + BEAT * NS_PER_MS;
  if (id) {
    lf_client_forget_all(cl);
    lf_client_forget_large(cl);
    snprintf(cl->id, sizeof cl->id, "%s", id);
    begin_reading(cl);
    cl->gone = false;
  } else {
    lf_channel_forget(&cl->out);
    lf_table_fini(&cl->loops);
    cl->stored = 0;
    put_unanswered(cl);
    lf_client_fetch_large(cl);
  }
  lf_reader_go_on(&cl->reader, results);
  lf_redis_flush(results);
  pthread_cond_broadcast(&cl->changed);
}

/* Without the lock. */
static bool connect_both(lf_cluster *cl, char *why, size_t size) {
  char id[LF_ID];
  lf_pool *p = cl->pool;
  lf_redis *results = NULL;
  lf_redis *commands = lf_redis_open(&cl->o.url, DIAL, why, size);
  if (commands)
    results = lf_redis_open(&cl->o.url, DIAL, why, size);
  bool known = results && cl->id[0] && beat_now(cl, commands) >= 0;
  lf_cluster_new_id(id);
  if (!results || (!known && !introduce(cl, commands, id, why, size))) {
    lf_redis_close(commands);
    lf_redis_close(results);
    return false;
  }
  pthread_mutex_lock(&p->lock);
  adopt(cl, commands, results, known ? NULL : id);
  pthread_mutex_unlock(&p->lock);
  return true;
}

/* Under the lock. */
static void disconnect(lf_cluster *cl) {
  lf_redis *commands = cl->commands, *results = cl->results;
  if (commands)
    snprintf(cl->trouble, sizeof cl->trouble, "the server is lost: %s",
             lf_redis_error(commands));
  cl->commands = cl->results = NULL;
  lf_redis_close(commands);
  lf_redis_close(results);
  if (cl->until == 0)
    cl->until = lf_after(cl->o.reconnect);
  cl->until = cl->until ? cl->until : 1;
}

/* Without the lock: tries to connect again. */
static void reconnect(lf_cluster *cl) {
  lf_pool *p = cl->pool;
  char why[300], text[400];
  if (connect_both(cl, why, sizeof why))
    return;
  if (lf_now() >= cl->until && !p->broken) {
    snprintf(text, sizeof text, "the cluster is lost: %s", why);
    snprintf(cl->trouble, sizeof cl->trouble, "%s", why);
    cl->cut_off = true;
    lf_pool_break(p, text);
    pthread_mutex_lock(&p->lock);
    lf_client_give_up(cl);
    lf_client_drop_held(cl, (lf_ending){.what = LF_END_BROKEN});
    pthread_cond_broadcast(&cl->changed);
    pthread_mutex_unlock(&p->lock);
  }
  struct pollfd doorbell = {.fd = cl->doorbell, .events = POLLIN};
  poll(&doorbell, 1, (int)(REST * 1000));
}

/* --- The thread --- */

static void on_beat(void *user, const redisReply *reply) {
  lf_cluster *cl = user;
  if (reply && reply->type == REDIS_REPLY_INTEGER)
    lf_client_note_workers(cl, (int)reply->integer);
  else if (reply)
    cl->gone = true;
}

/* Under the lock. */
static void beat(lf_cluster *cl) {
  lf_digits lease;
  if (!cl->commands || lf_now() < cl->next_beat)
    return;
  cl->next_beat = lf_now() + BEAT * NS_PER_MS;
  const lf_arg args[] = {lf_arg_text("clients"), lf_arg_text(cl->id),
                         lf_arg_int(lease, LF_CLIENT_LEASE)};
  (void)lf_client_call(cl, LF_FUNCTION("beat"), args, 3, on_beat, cl);
}

/* Under the lock: what is waited for; returns for how many ms at most. */
static int prepare_sleep(const lf_cluster *cl, struct pollfd fds[4]) {
  lf_redis *const both[] = {cl->commands, cl->results};
  fds[0] = (struct pollfd){.fd = cl->doorbell, .events = POLLIN};
  for (int i = 0; i < 2; i++) {
    fds[i + 1].fd = both[i] ? lf_redis_fd(both[i]) : -1;
    fds[i + 1].events =
        (short)(POLLIN | (both[i] && lf_redis_is_full(both[i]) ? POLLOUT : 0));
  }
  fds[3] = (struct pollfd){.fd = cl->private.pidfd, .events = POLLIN};
  int64_t at = cl->next_beat;
  at = cl->full && cl->try_again < at ? cl->try_again : at;
  int64_t ms = (at - lf_now()) / NS_PER_MS + 1;
  return ms > 0 ? (int)ms : 0;
}

/* Sleeps until something is to be done. */
static void sleep_on(lf_cluster *cl) {
  uint64_t n;
  struct pollfd fds[4];
  pthread_mutex_lock(&cl->pool->lock);
  int ms = prepare_sleep(cl, fds);
  pthread_mutex_unlock(&cl->pool->lock);
  lf_count_awake(-1);
  poll(fds, 4, ms);
  lf_count_awake(1);
  if (fds[3].revents)
    lf_private_restart(&cl->private);
  while (fds[0].revents && read(cl->doorbell, &n, sizeof n) > 0)
    continue;
}

/* Under the lock. */
static void exchange(lf_cluster *cl) {
  lf_redis *const both[] = {cl->commands, cl->results};
  bool good = true;
  beat(cl);
  for (int i = 0; i < 2 && good; i++)
    good = !both[i] || (lf_redis_receive(both[i]) && lf_redis_flush(both[i]));
  if (!good || cl->gone)
    disconnect(cl);
}

/* Under the lock: nothing of ours is left in the server. */
static void take_leave(lf_cluster *cl) {
  const lf_arg args[] = {lf_arg_text(cl->id)};
  if (!cl->commands ||
      lf_client_call(cl, LF_FUNCTION("close"), args, 1, NULL, NULL) != 0)
    return;
  int64_t end = lf_now() + FAREWELL_MS * NS_PER_MS;
  while (lf_redis_flush(cl->commands) && lf_redis_is_full(cl->commands) &&
         lf_now() < end) {
    struct pollfd fd = {.fd = lf_redis_fd(cl->commands), .events = POLLOUT};
    poll(&fd, 1, 10);
  }
}

static void live(lf_cluster *cl) {
  lf_pool *p = cl->pool;
  bool over = false;
  while (!over) {
    lf_client_round(p);
    if (!cl->commands && !p->broken)
      reconnect(cl);
    else
      sleep_on(cl);
    pthread_mutex_lock(&p->lock);
    exchange(cl);
    over = lf_pool_try_end(p);
    pthread_mutex_unlock(&p->lock);
  }
}

/* Its own member has joined, or will not: waits. */
static bool await_member(lf_cluster *cl) {
  char why[300];
  struct timespec moment = {.tv_nsec = 2000000};
  int64_t end = lf_after(START);
  lf_redis *redis = lf_redis_open(&cl->o.url, DIAL, why, sizeof why);
  int n = 0;
  while (redis && n == 0 && lf_now() < end) {
    n = beat_now(cl, redis);
    if (n == 0)
      nanosleep(&moment, NULL);
  }
  lf_redis_close(redis);
  if (n <= 0) {
    snprintf(cl->trouble, sizeof cl->trouble, "its workers do not start");
    return false;
  }
  pthread_mutex_lock(&cl->pool->lock);
  lf_client_note_workers(cl, n);
  pthread_mutex_unlock(&cl->pool->lock);
  return true;
}

static void client_main(void *cluster) {
  lf_cluster *cl = cluster;
  lf_pool *p = cl->pool;
  lf_thread_silent();
  cl->thread = pthread_self();
  bool good = (!cl->o.program ||
               lf_private_start(&cl->private, cl->o.program, cl->o.max_workers,
                                &cl->o.url, cl->trouble, sizeof cl->trouble)) &&
              connect_both(cl, cl->trouble, sizeof cl->trouble) &&
              (!cl->o.program || await_member(cl));
  pthread_mutex_lock(&p->lock);
  cl->opening = good ? 0 : LF_EBROKEN;
  pthread_cond_broadcast(&cl->changed);
  pthread_mutex_unlock(&p->lock);
  if (good)
    live(cl);
  pthread_mutex_lock(&p->lock);
  p->ended = p->shutdown = true;
  take_leave(cl);
  disconnect(cl);
  pthread_mutex_unlock(&p->lock);
  if (cl->o.program)
    lf_private_end(&cl->private);
  lf_pool_end(p);
  lf_pool_unref(p);
}

static lf_cluster *cluster_new(lf_pool *p) {
  static const lf_names names = {name, find, self, lf_pool_unhandle};
  lf_cluster *cl = lf_zalloc(sizeof *cl);
  if (!cl)
    return NULL;
  cl->pool = p;
  cl->private.pidfd = -1;
  cl->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  cl->opening = 1;
  lf_cond_init(&cl->changed);
  lf_channel_init_memory(&cl->out, &names, p, p->o.ops->annotate);
  cl->out.asked = true;
  lf_channel_init_memory(&cl->in, &names, p, p->o.ops->annotate);
  lf_list_init(&cl->batches);
  lf_list_init(&cl->questions);
  lf_list_init(&cl->large);
  lf_list_init(&cl->held);
  lf_stack_init(&cl->unheld);
  lf_list_init(&cl->clocks);
  lf_list_init(&cl->claims);
  lf_list_init(&cl->done);
  lf_list_init(&cl->endings);
  return cl;
}

int lf_pool_cluster(lf_pool *p, lf_cluster_options *options, char *why,
                    size_t size) {
  lf_cluster *cl = cluster_new(p);
  if (!cl || cl->doorbell < 0) {
    lf_url_free(&options->url);
    lf_free((char *)options->program);
    lf_free(cl);
    p->o.backend = &lf_threads_backend; /* it ends as one without a server */
    snprintf(why, size, "%s", LF_NO_MEMORY);
    return LF_ENOMEM;
  }
  cl->o = *options;
  p->own = cl;
  lf_pool_ref(p);
  int err = lf_thread_start("lfut_cluster", client_main, cl);
  if (err) {
    lf_pool_unref(p); /* not the last */
    p->o.backend = &lf_threads_backend;
    snprintf(why, size, "cannot start a thread");
    return err;
  }
  pthread_mutex_lock(&p->lock);
  while (cl->opening > 0)
    pthread_cond_wait(&cl->changed, &p->lock);
  err = cl->opening;
  if (err)
    snprintf(why, size, "%s", cl->trouble);
  pthread_mutex_unlock(&p->lock);
  return err;
}

/* --- The back end --- */

static const char *trouble(const lf_pool *p) {
  const lf_cluster *cl = lf_cluster_of(p);
  return cl && (cl->full || cl->cut_off) ? cl->trouble : NULL;
}

static int submit(lf_pool *p, lf_task *t, lf_route route) {
  lf_cluster *cl = lf_cluster_of(p);
  pthread_mutex_lock(&p->lock);
  bool inner = route == LF_TAIL || lf_runner_of(t);
  int err = p->ended || (p->shutdown && !inner) ? LF_ESHUTDOWN
            : p->broken                         ? LF_EBROKEN
            : cl->full && !inner                ? LF_ECLUSTER
                                                : 0;
  bool held = false;
  if (err == 0)
    err = lf_client_hold(cl, t, &held);
  if (err == 0 && !held) {
    lf_common_add(p, lf_task_ref(t), false);
    t->stage = LF_STAGE_QUEUED;
  }
  p->submitted += err == 0;
  pthread_mutex_unlock(&p->lock);
  if (err == 0)
    lf_client_round(p);
  return err;
}

static int count_each(lf_pool *p) {
  return lf_client_count(lf_cluster_of(p));
}

static int broadcast(lf_pool *p, lf_task **tasks, int n) {
  pthread_mutex_lock(&p->lock);
  int err = p->shutdown ? LF_ESHUTDOWN
            : p->broken ? LF_EBROKEN
                        : lf_client_broadcast(lf_cluster_of(p), tasks, n);
  pthread_mutex_unlock(&p->lock);
  return err;
}

static void take_in(lf_task *t) {
  lf_pool *p = lf_pool_ref(lf_task_pool(t));
  pthread_mutex_lock(&p->lock);
  bool wanted = lf_pool_wants(p, t);
  t->stage = wanted ? LF_STAGE_QUEUED : LF_STAGE_TAKEN;
  if (wanted)
    lf_common_add(p, t, true);
  p->owner.held--;
  pthread_mutex_unlock(&p->lock);
  if (!wanted)
    lf_pool_fail(t, p->broken);
  lf_client_kick(lf_cluster_of(p));
  lf_pool_unref(p);
}

/* Under the lock: takes the task, which nobody has begun, out of the pool. It
 * waits for the server, unless it is too late to begin: then it does not. */
static bool take_out(lf_cluster *cl, lf_task *t, lf_reason reason) {
  lf_pool *p = cl->pool;
  if (t->stage == LF_STAGE_HELD && t->far.carrier && lf_client_let_go(t)) {
    t->stage = LF_STAGE_TAKEN;
    return true;
  }
  if (t->stage == LF_STAGE_QUEUED && !lf_list_empty(&t->link)) {
    lf_common_del(p, t);
  } else if (t->stage == LF_STAGE_HELD) {
    if (!lf_chain_claim(t))
      return false;
    lf_task_ref(t)->owner->held--;
  } else if (t->stage == LF_STAGE_SENT && reason != LF_STOP_CANCEL) {
    lf_client_withdraw(cl, t, reason);
    return false;
  } else if (t->stage == LF_STAGE_SENT) {
    int64_t free = lf_client_ask(cl, t, LF_FUNCTION("cancel"));
    if (t->stage != LF_STAGE_SENT) /* it has ended meanwhile */
      return false;
    if (free == 0 && lf_task_state(t) == LF_PENDING)
      lf_task_start_far(t);
    if (free != 1)
      return false;
    lf_batch *b = ((lf_sent *)t->far.carrier)->batch;
    lf_sent_end(t->far.carrier);
    lf_batch_end_if_empty(b);
  } else {
    return false;
  }
  t->stage = LF_STAGE_TAKEN;
  return true;
}

/* Their outcomes are sent along, so these have to be what members send. */
static bool can_name(const lf_pool *p, const lf_task *t) {
  return lf_task_pool(t) == p;
}

static bool cancel(lf_pool *p, lf_task *t, lf_reason reason) {
  lf_cluster *cl = lf_cluster_of(p);
  bool out = false;
  pthread_mutex_lock(&p->lock);
  if (lf_task_state(t) == LF_PENDING)
    out = take_out(cl, t, reason);
  bool ending = t->stage == LF_STAGE_FINISHED || t->stage == LF_STAGE_FAILED;
  pthread_mutex_unlock(&p->lock);
  /* Its outcome has come, maybe that it was cancelled: the caller looks. */
  for (int i = 0; !out && ending && i < 1000 && !lf_task_done(t); i++)
    sched_yield();
  if (!out)
    return false;
  bool dropped = lf_task_drop(t, reason);
  lf_task_unref(t);
  lf_client_kick(cl); /* it may be over */
  return dropped;
}

static lf_state look(lf_pool *p, lf_task *t) {
  lf_cluster *cl = lf_cluster_of(p);
  if (lf_task_state(t) != LF_PENDING)
    return lf_task_state(t);
  pthread_mutex_lock(&p->lock);
  if (t->stage == LF_STAGE_SENT &&
      lf_client_ask(cl, t, LF_FUNCTION("look")) == 1 &&
      t->stage == LF_STAGE_SENT && lf_task_state(t) == LF_PENDING)
    lf_task_start_far(t);
  pthread_mutex_unlock(&p->lock);
  return lf_task_state(t);
}

static bool ask(lf_pool *p, lf_task *t, lf_reason reason) {
  lf_cluster *cl = lf_cluster_of(p);
  pthread_mutex_lock(&p->lock);
  bool there = t->stage == LF_STAGE_SENT;
  if (there && lf_task_state(t) == LF_PENDING)
    lf_task_start_far(t);
  bool asked = there && lf_task_stop(t, reason);
  if (asked)
    lf_client_stop(cl, t, reason);
  pthread_mutex_unlock(&p->lock);
  return asked;
}

/* Its member sees to that. */
static void remind(lf_pool *p, lf_task *t) {
  (void)p;
  (void)t;
}

static bool give_up(lf_pool *p, lf_task *t) {
  (void)p;
  lf_task_force(t);
  return true;
}

/* Under the lock. */
static void recall(lf_pool *p, lf_loop *loop, lf_link *out) {
  lf_cluster *cl = lf_cluster_of(p);
  (void)out; /* they come when the server has answered */
  for (lf_link *l = cl->batches.next; l != &cl->batches; l = l->next) {
    lf_batch *b = lf_container_of(l, lf_batch, link);
    for (lf_link *m = b->tasks.next; m != &b->tasks; m = m->next) {
      lf_task *t = lf_container_of(m, lf_sent, link)->task;
      if (!loop || (lf_runner_of(t) && lf_runner_of(t)->loop == loop))
        lf_client_withdraw(cl, t, LF_STOP_CANCEL);
    }
  }
}

/* Under the lock. */
static void interrupt(lf_pool *p) {
  lf_cluster *cl = lf_cluster_of(p);
  for (lf_link *l = cl->batches.next; l != &cl->batches; l = l->next) {
    lf_batch *b = lf_container_of(l, lf_batch, link);
    for (lf_link *m = b->tasks.next; m != &b->tasks; m = m->next) {
      lf_task *t = lf_container_of(m, lf_sent, link)->task;
      if (lf_task_state(t) == LF_PENDING)
        lf_task_start_far(t);
      lf_task_stop(t, LF_STOP_CANCEL);
      lf_client_stop(cl, t, LF_STOP_CANCEL);
    }
  }
}

/* Those that nobody has begun have ended when this returns, as far as the
 * server can be asked. */
static void shut_down(lf_pool *p, bool cancel) {
  lf_cluster *cl = lf_cluster_of(p);
  lf_pool_close(p, cancel);
  pthread_mutex_lock(&p->lock);
  if (cancel)
    lf_client_drop_held(
        cl, (lf_ending){.what = LF_END_DROPPED, .reason = LF_STOP_CANCEL});
  while (cancel && cl->unanswered + cl->withdrawals > 0 &&
         lf_client_is_connected(cl) &&
         !pthread_equal(cl->thread, pthread_self()))
    pthread_cond_wait(&cl->changed, &p->lock);
  pthread_mutex_unlock(&p->lock);
  lf_client_round(p);
}

static void kill_all(lf_pool *p, int sig) {
  (void)sig;
  pthread_mutex_lock(&p->lock);
  interrupt(p);
  pthread_mutex_unlock(&p->lock);
}

/* --- Statistics --- */

typedef struct {
  lf_cluster *cluster;
  lf_pool_stats *stats;
  bool answered;
} statistics;

static size_t count_tasks(const lf_batch *b) {
  size_t n = 0;
  for (const lf_link *l = b->tasks.next; l != &b->tasks; l = l->next)
    n++;
  return n;
}

/* How many tasks members have taken, as the server says: workers, {stream, last
 * entry} ... */
static uint64_t count_taken(const lf_cluster *cl, const redisReply *reply) {
  uint64_t n = 0;
  for (lf_link *l = cl->batches.next; l != &cl->batches; l = l->next) {
    const lf_batch *b = lf_container_of(l, lf_batch, link);
    char room[64];
    const char *stream = lf_batch_stream(b, room, sizeof room);
    for (size_t i = 1; i + 1 < reply->elements; i += 2)
      if (strcmp(reply->element[i]->str, stream) == 0 && b->id[0] &&
          lf_entry_compare(b->id, reply->element[i + 1]->str) <= 0)
        n += count_tasks(b);
  }
  return n;
}

static bool is_count(const redisReply *reply) {
  return reply && reply->type == REDIS_REPLY_ARRAY && reply->elements >= 1;
}

static void on_stat(void *user, const redisReply *reply) {
  statistics *q = user;
  lf_cluster *cl = q->cluster;
  q->answered = true;
  pthread_cond_broadcast(&cl->changed);
  if (!is_count(reply))
    return;
  q->stats->workers = (uint64_t)reply->element[0]->integer;
  q->stats->running = count_taken(cl, reply);
}

/* Under the lock. */
static uint64_t count_queued(const lf_pool *p, uint64_t running) {
  return p->queued + p->owner.held + lf_cluster_of(p)->in_server - running;
}

static void stat(lf_pool *p, lf_pool_stats *s) {
  lf_cluster *cl = lf_cluster_of(p);
  statistics q = {.cluster = cl, .stats = s};
  *s = (lf_pool_stats){.workers = (uint64_t)cl->workers};
  pthread_mutex_lock(&p->lock);
  while (!q.answered && lf_client_is_connected(cl) &&
         !pthread_equal(cl->thread, pthread_self())) {
    if (lf_client_call(cl, LF_FUNCTION("stat"), NULL, 0, on_stat, &q) != 0)
      break;
    lf_redis_flush(cl->commands);
    while (!q.answered)
      pthread_cond_wait(&cl->changed, &p->lock);
  }
  s->queued = count_queued(p, s->running);
  s->idle = s->workers > s->running ? s->workers - s->running : 0;
  s->finished = cl->finished;
  s->failed = cl->failed + p->owner.unstarted;
  s->cancelled = cl->stopped + p->owner.cancelled;
  pthread_mutex_unlock(&p->lock);
}

static void on_sample(void *cluster, const redisReply *reply) {
  lf_cluster *cl = cluster;
  cl->sampling = false;
  if (is_count(reply))
    cl->taken = count_taken(cl, reply);
}

/* What the server has said last; nobody waits for it here. */
static void sample(lf_pool *p, lf_pool_stats *s) {
  lf_cluster *cl = lf_cluster_of(p);
  pthread_mutex_lock(&p->lock);
  s->running = cl->taken < cl->in_server ? cl->taken : cl->in_server;
  s->queued = count_queued(p, s->running);
  if (cl->in_server > 0 && !cl->sampling && lf_client_is_connected(cl) &&
      lf_client_call(cl, LF_FUNCTION("stat"), NULL, 0, on_sample, cl) == 0) {
    cl->sampling = true;
    lf_client_flush(cl);
  }
  pthread_mutex_unlock(&p->lock);
}

static void tell(lf_pool *p, const lf_notice *notice) {
  lf_cluster *cl = lf_cluster_of(p);
  notice->hold(notice->owner);
  pthread_mutex_lock(&p->lock);
  lf_notice old = cl->notice;
  cl->notice = *notice;
  cl->notices++;
  pthread_mutex_unlock(&p->lock);
  if (old.drop)
    old.drop(old.owner);
}

static void settle(lf_pool *p) {
  lf_client_kick(lf_cluster_of(p));
}

static bool is_quiet(lf_pool *p) {
  const lf_cluster *cl = lf_cluster_of(p);
  return cl->in_server == 0 && cl->chunks == 0 && cl->rounds == 0 &&
         lf_list_empty(&cl->claims) && lf_list_empty(&cl->done) &&
         lf_list_empty(&cl->endings) && !cl->broken;
}

static void cluster_free(lf_pool *p) {
  lf_cluster *cl = lf_cluster_of(p);
  if (!cl)
    return;
  if (cl->notice.drop)
    cl->notice.drop(cl->notice.owner);
  lf_client_forget_large(cl);
  lf_channel_fini(&cl->out);
  lf_channel_fini(&cl->in);
  lf_clocks_free(&cl->clocks);
  lf_table_fini(&cl->sent);
  lf_table_fini(&cl->loops);
  lf_url_free(&cl->o.url);
  lf_free((char *)cl->o.program);
  pthread_cond_destroy(&cl->changed);
  close(cl->doorbell);
  lf_free(cl);
}

const lf_backend lf_cluster_backend = {
    .name = "cluster",
    .remote = true,
    .whole = true,
    .broken = "BrokenExecutor",
    .submit = submit,
    .count = count_each,
    .broadcast = broadcast,
    .follow = lf_pool_hold,
    .take_in = take_in,
    .can_name = can_name,
    .cancel = cancel,
    .look = look,
    .trouble = trouble,
    .ask = ask,
    .remind = remind,
    .give_up = give_up,
    .recall = recall,
    .stat = stat,
    .sample = sample,
    .settle = settle,
    .tell = tell,
    .shutdown = shut_down,
    .kill = kill_all,
    .interrupt = interrupt,
    .is_quiet = is_quiet,
    .free = cluster_free,
};
