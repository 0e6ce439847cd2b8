/* SPDX-License-Identifier: MIT
 *
 * See internal.h. */
#include "runtime/cluster/internal.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/clocks.h"
#include "runtime/cluster/functions.h"
#include "runtime/cluster/modules.h"
#include "runtime/os/clock.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/process/task_io.h"
#include "runtime/trace/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- What is lost --- */

/* L pid host \n tasks: those that have not ended. */
static void receive_lost(lf_cluster *cl, const char *text, const char *tasks,
                         size_t len) {
  lf_lost how = {.exitcode = -1};
  int pid;
  char *numbers = lf_strndup(tasks, len), *at = numbers, *end;
  if (!numbers || sscanf(text, " %d %63[^\n]", &pid, how.host) != 2) {
    lf_free(numbers);
    return;
  }
  how.pid = pid;
  for (uint64_t n; (n = strtoull(at, &end, 10)) > 0 && end > at; at = end) {
    lf_entry *e = lf_table_find(&cl->sent, n);
    if (!e)
      continue;
    lf_sent *s = e->value;
    lf_batch *b = s->batch;
    lf_client_lose(cl, lf_sent_end(s), &how);
    lf_batch_end_if_empty(b);
  }
  lf_free(numbers);
}

/* The tasks of all batches are the caller's, one after the other. */
static lf_task *next_sent(lf_cluster *cl) {
  while (!lf_list_empty(&cl->batches)) {
    lf_batch *b = lf_container_of(cl->batches.next, lf_batch, link);
    if (!lf_list_empty(&b->tasks))
      return lf_sent_end(lf_container_of(b->tasks.next, lf_sent, link));
    snprintf(b->id, sizeof b->id, "-"); /* it has none any more */
    lf_batch_end_if_empty(b);
  }
  return NULL;
}

void lf_client_forget_all(lf_cluster *cl) {
  static const lf_lost how = {.exitcode = -1};
  lf_task *t;
  while ((t = next_sent(cl)))
    lf_client_lose(cl, t, &how);
  lf_channel_forget(&cl->out);
  lf_table_fini(&cl->loops);
  cl->stored = 0;
}

void lf_client_give_up(lf_cluster *cl) {
  lf_task *t;
  while ((t = next_sent(cl)))
    lf_client_end(cl, t, (lf_ending){.what = LF_END_BROKEN});
}

static void receive_answer(lf_cluster *cl, const char *text) {
  uint64_t number;
  int value;
  if (sscanf(text, " %" SCNu64 " %d", &number, &value) == 2)
    lf_client_answer(cl, number, value);
}

static void receive_begun(lf_cluster *cl, const char *text) {
  uint64_t number;
  if (sscanf(text, " %" SCNu64, &number) != 1)
    return;
  lf_entry *e = lf_table_find(&cl->sent, number);
  if (e && lf_task_state(((lf_sent *)e->value)->task) == LF_PENDING)
    lf_task_start_far(((lf_sent *)e->value)->task);
}

/* M id name: a worker wants that module. */
static void receive_want(lf_cluster *cl, const char *text) {
  char id[LF_ID], name[256], *file = NULL;
  size_t len = 0;
  if (sscanf(text, " %32s %255[^\n]", id, name) != 2 || !cl->commands)
    return;
  const char *path = cl->notice.path;
  char *found = path ? lf_module_find(path, name, &len, &file) : NULL;
  const lf_arg args[] = {lf_arg_text(id),
                         lf_arg_text(found && file ? file : ""),
                         {found ? found : "", found ? len : 0}};
  (void)lf_client_call(cl, LF_FUNCTION("module"), args, 3, NULL, NULL);
  lf_free(found);
  lf_free(file);
}

/* --- Outcomes --- */

/* Where it was, in front of the text of an LF_LOST. */
static void note_host(lf_buf *data, const char *host) {
  lf_lost how;
  if (data->len < sizeof how)
    return;
  memcpy(&how, data->data, sizeof how);
  snprintf(how.host, sizeof how.host, "%s", host);
  memcpy(data->data, &how, sizeof how);
}

static void count(lf_cluster *cl, lf_state end) {
  *(end == LF_FINISHED    ? &cl->finished
    : end == LF_CANCELLED ? &cl->stopped
                          : &cl->failed) += 1;
}

/* Its member and its worker are called so, in front of what they have run. */
static void name_line(const lf_cluster *cl, lf_far_clock *clock,
                      const lf_ran *ran) {
  char name[100];
  int session = lf_timing_now() / LF_TIME_SESSION;
  if (lf_clock_names(clock, session, 0)) {
    snprintf(name, sizeof name, "lfut member %s %d", clock->host,
             (int)clock->pid);
    lf_trace_call_process(clock->number, name);
  }
  if (lf_clock_names(clock, session, ran->process)) {
    snprintf(name, sizeof name, "%.10s_%d", cl->pool->o.name, ran->worker);
    lf_trace_call_thread(clock->number, ran->process, name);
  }
}

/* The run, on its worker's line in the trace; it was sent then, or later. */
static void trace_run(lf_cluster *cl, lf_task *t, const char *host,
                      int64_t sent) {
  const lf_msg *took = &cl->took;
  const lf_ran ran = {.begun = (int64_t)took->a,
                      .ns = (int64_t)took->b,
                      .process = (pid_t)(uint32_t)took->c,
                      .worker = (int)(took->c >> 32)};
  lf_far_clock *clock = lf_clock_of(&cl->clocks, host, (pid_t)took->slot);
  int64_t born = lf_task_born(t), begun = ran.begun;
  const lf_runner *runner = lf_runner_of(t);
  if (!clock)
    return;
  name_line(cl, clock, &ran);
  begun += lf_clock_note(clock, sent, begun, begun + ran.ns, lf_now());
  begun = lf_clock_place(clock, ran.process, begun, ran.ns);
  lf_trace_far(clock->number, ran.process, begun, ran.ns,
               runner ? lf_loop_code(runner->loop) : t->code,
               lf_task_own_name(t), born > LF_BORN_QUIETLY ? born : 0);
}

/* The fields of the message in hand as a worker process would have filled them
 * in: but the time in the queue is what is left of the whole. */
static void fill_in_times(lf_cluster *cl, const lf_task *t) {
  lf_msg *msg = &cl->in.msg;
  int64_t born = lf_task_born(t);
  int64_t queued = lf_now() - born - (int64_t)cl->took.b;
  msg->flag = 1;
  msg->c = cl->took.b;
  msg->slot = 0;
  msg->b = born > LF_BORN_QUIETLY && queued > 0 ? (uint64_t)queued : UINT64_MAX;
}

/* The run's times are those of its member, whose clock is another. */
static void count_run(lf_cluster *cl, lf_task *t, const char *host,
                      int64_t sent) {
  lf_profile *profile = lf_pool_profile(cl->pool);
  lf_ran unused;
  bool known = cl->took.id == cl->in.msg.id;
  if (known && lf_is_traced())
    trace_run(cl, t, host, sent);
  if (known && cl->in.msg.kind == LF_MSG_RESULT)
    fill_in_times(cl, t);
  pthread_mutex_lock(&profile->lock);
  lf_outcome_count(&cl->in, t, &profile->tallies, &unused);
  pthread_mutex_unlock(&profile->lock);
}

static void receive_outcome(lf_cluster *cl, const char *host) {
  lf_channel *in = &cl->in;
  lf_entry *e = in->msg.id ? lf_table_find(&cl->sent, in->msg.id) : NULL;
  lf_sent *s = e ? e->value : NULL;
  if (!s)
    return; /* it has ended already */
  lf_batch *b = s->batch;
  int64_t sent = b->made;
  lf_task *t = lf_sent_end(s);
  lf_batch_end_if_empty(b);
  if (!lf_outcome_is_of(in, t)) { /* nonsense */
    lf_lost how = {.exitcode = -1};
    snprintf(how.host, sizeof how.host, "%s", host);
    lf_client_lose(cl, t, &how);
    return;
  }
  lf_outcome_note_reason(in, t);
  bool lost = in->msg.error == LF_LOST;
  count_run(cl, t, host, sent);
  if ((lost || lf_task_reason(t) != LF_GO_ON) && lf_client_again(cl, t))
    return;
  count(cl, lf_outcome_receive(in, t));
  if (lost)
    note_host(lf_runner_of(t) ? &lf_runner_of(t)->chunk->why : &t->data, host);
  lf_list_add(&cl->done, &t->link);
}

static void receive_progress(lf_cluster *cl) {
  lf_channel *in = &cl->in;
  lf_entry *e = in->msg.id ? lf_table_find(&cl->sent, in->msg.id) : NULL;
  if (e)
    lf_report_receive(in, ((lf_sent *)e->value)->task);
}

static void receive_messages(lf_cluster *cl, const char *host,
                             const char *bytes, size_t len) {
  lf_channel *in = &cl->in;
  lf_channel_forget(in);
  lf_channel_read(in, bytes, len);
  cl->took.id = 0;
  while (lf_channel_receive(in))
    if (in->msg.kind == LF_MSG_TOOK)
      cl->took = in->msg;
    else if (in->msg.kind == LF_MSG_RESULT || in->msg.kind == LF_MSG_CHUNK_DONE)
      receive_outcome(cl, host);
    else if (in->msg.kind == LF_MSG_PROGRESS)
      receive_progress(cl);
}

/* A result that is in parts. What was fetched in vain is asked for again when
 * there is a connection. */
typedef struct {
  lf_link link; /* among those that are on their way */
  lf_cluster *cluster;
  bool fetching;
  char host[64];
  lf_buf name;
} large;

static void large_free(large *l) {
  lf_list_del(&l->link);
  lf_buf_fini(&l->name);
  lf_free(l);
}

static void on_large(void *user, lf_buf *all) {
  large *l = user;
  l->fetching = false;
  if (!all && !lf_client_is_connected(l->cluster))
    return;
  if (all) {
    receive_messages(l->cluster, l->host, (char *)all->data, all->len);
    lf_buf_fini(all);
    lf_client_kick(l->cluster);
  }
  large_free(l);
}

void lf_client_fetch_large(lf_cluster *cl) {
  for (lf_link *m = cl->large.next, *next; m != &cl->large; m = next) {
    large *l = lf_container_of(m, large, link);
    next = m->next;
    if (!l->fetching)
      l->fetching = lf_parts_fetch(cl->commands, cl->id, l->name.data,
                                   l->name.len, on_large, l) == 0;
  }
}

static void receive_large(lf_cluster *cl, const char *host, const char *name,
                          size_t len) {
  large *l = lf_zalloc(sizeof *l);
  if (!l)
    return;
  l->cluster = cl;
  snprintf(l->host, sizeof l->host, "%s", host);
  (void)lf_buf_put(&l->name, name, len);
  lf_list_init(&l->link);
  lf_list_add(&cl->large, &l->link);
  if (cl->commands)
    lf_client_fetch_large(cl);
}

void lf_client_forget_large(lf_cluster *cl) {
  while (!lf_list_empty(&cl->large))
    large_free(lf_container_of(cl->large.next, large, link));
}

void lf_client_receive(lf_cluster *cl, const char *bytes, size_t len) {
  char host[64];
  const char *end = len > 2 ? memchr(bytes, '\n', len) : NULL;
  if (!end)
    return;
  size_t rest = len - (size_t)(end + 1 - bytes);
  snprintf(host, sizeof host, "%.*s", (int)(end - bytes - 2), bytes + 2);
  if (bytes[0] == 'L')
    receive_lost(cl, bytes + 1, end + 1, rest);
  else if (bytes[0] == 'R' && lf_parts_is_name(end + 1, rest))
    receive_large(cl, host, end + 1, rest);
  else if (bytes[0] == 'R')
    receive_messages(cl, host, end + 1, rest);
  else if (bytes[0] == 'A')
    receive_answer(cl, bytes + 1);
  else if (bytes[0] == 'M')
    receive_want(cl, bytes + 1);
  else if (bytes[0] == 'N')
    receive_begun(cl, bytes + 1);
  else if (bytes[0] == 'W')
    lf_client_note_workers(cl, atoi(host));
  else if (bytes[0] == 'B' && !cl->broken)
    cl->broken = lf_words(end + 1, rest);
}
