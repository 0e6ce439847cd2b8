/* SPDX-License-Identifier: MIT
 *
 * See sessions.h. */
#include "runtime/cluster/sessions.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/functions.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"
#include "runtime/pool/stop.h"
#include "runtime/process/processes.h"
#include "runtime/process/task_io.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
  FEW = 64,     /* fields asked for at once */
  TOLD = 1024,  /* tasks told at once, */
  PLACES = 512, /* of so many clients and entries */
  LOOPS = LF_LIMIT(256, 4),
  REPORT_BYTES = LF_LIMIT(1 << 20, 4 << 10), /* at once, about */
};

static void go_on(lf_session *s);

bool lf_sessions_init(lf_sessions *all, const lf_member_options *o) {
  *all = (lf_sessions){.o = o};
  lf_parker_init(&all->parker);
  lf_registry_init(&all->registry, &all->parker);
  lf_list_init(&all->sessions);
  lf_list_init(&all->entries);
  lf_stack_init(&all->ended);
  if (gethostname(all->host, sizeof all->host - 1) != 0 || !all->host[0])
    snprintf(all->host, sizeof all->host, "localhost");
  all->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return all->doorbell >= 0;
}

/* --- Sessions --- */

static void *self(void *session) {
  lf_session *s = session;
  return s->pool ? lf_pool_handle(s->pool) : NULL;
}

/* Results name no futures. */
static uint64_t name(void *session, lf_task *future) {
  (void)session, (void)future;
  return 0;
}

/* What has become of it stands in front of the task that it is given to. */
static lf_task *find_future(void *session, uint64_t id) {
  lf_entry *e =
      id ? lf_table_find(&((lf_session *)session)->futures, id) : NULL;
  return e ? lf_task_ref(e->value) : NULL;
}

static const lf_names names = {name, find_future, self, lf_pool_unhandle};

/* One that has gone may still be there, when the member has joined again. */
static lf_session *find(lf_sessions *all, const char *client) {
  for (lf_link *l = all->sessions.next; l != &all->sessions; l = l->next) {
    lf_session *s = lf_container_of(l, lf_session, link);
    if (!s->gone && strcmp(s->id, client) == 0)
      return s;
  }
  return NULL;
}

static lf_session *session_new(lf_sessions *all, const char *client) {
  lf_session *s = lf_zalloc(sizeof *s);
  if (!s)
    return NULL;
  s->all = all;
  snprintf(s->id, sizeof s->id, "%s", client);
  lf_channel_init_memory(&s->end, &names, s, all->o->ops->annotate);
  lf_list_init(&s->waiting);
  lf_list_init(&s->link);
  lf_list_add(&all->sessions, &s->link);
  return s;
}

static void drop_loops(lf_session *s) {
  s->loop = NULL;
  for (size_t i = 0; i < s->loops.cap; i++)
    if (s->loops.entries[i].id)
      lf_loop_unref(s->loops.entries[i].value);
  lf_table_fini(&s->loops);
}

static void session_free(lf_session *s) {
  lf_list_del(&s->link);
  drop_loops(s);
  lf_channel_fini(&s->end);
  lf_table_fini(&s->jobs);
  lf_free(s->each);
  lf_free(s);
}

/* The pool's own copy of what its workers are told. */
static void free_greeting(void *greeting) {
  lf_buf_fini(greeting);
  lf_free(greeting);
}

/* From the message that the client has left, with the prefix of the workers'
 * names and how many tasks each may run; NULL: there is none. */
static lf_buf *receive_greeting(lf_session *s, const redisReply *value,
                                char **name, uint64_t *max_tasks) {
  lf_buf *b = NULL;
  lf_channel end; /* its functions have names of their own */
  lf_channel_init_memory(&end, &names, s, s->all->o->ops->annotate);
  lf_channel_read(&end, value->str, value->len);
  if (lf_channel_receive(&end) && end.msg.kind == LF_MSG_SETUP &&
      !end.no_memory && (b = lf_malloc(sizeof *b))) {
    lf_buf_init(b, NULL, 0);
    *max_tasks = end.msg.a;
    *name = lf_strndup((char *)end.tail.data, end.tail.len);
    if (lf_buf_move(b, &end.body) != 0) {
      free_greeting(b);
      b = NULL;
    }
  }
  lf_channel_fini(&end);
  return b;
}

/* Its workers can be started. False: they cannot, or it has none. */
static bool open_pool(lf_session *s, const redisReply *value) {
  char why[300], *name = NULL;
  lf_sessions *all = s->all;
  uint64_t max_tasks = 0;
  lf_buf *greeting = receive_greeting(s, value, &name, &max_tasks);
  lf_pool_options options = {
      .max_workers = all->o->workers,
      .max_tasks = max_tasks,
      .name = name ? name : "lfut",
      .ops = all->o->ops,
      .registry = &all->registry,
      .backend = &lf_processes_backend,
      .setup = greeting,
      .setup_free = free_greeting,
      .greeting = greeting,
      .bell = all->doorbell,
      .origin = s->id,
  };
  options.program = lf_strndup(all->o->program, strlen(all->o->program));
  s->pool = greeting && options.program ? lf_pool_new(&options) : NULL;
  lf_free(name);
  if (!s->pool) {
    lf_free(options.program);
    if (greeting)
      free_greeting(greeting);
    return false;
  }
  if (lf_pool_processes(s->pool, why, sizeof why) == 0)
    return true;
  fprintf(stderr, "lfut: %s\n", why);
  lf_pool_unhandle(s->pool);
  s->pool = NULL;
  return false;
}

/* --- Jobs --- */

static void push_ended(lf_job *j) {
  lf_sessions *all = j->entry->session->all;
  lf_stack_push(&all->ended, &j->node);
  lf_eventfd_ring(all->doorbell);
}

static void job_fire(lf_waiter *waiter) {
  push_ended(lf_container_of(waiter, lf_job, waiter));
}

/* A chunk of a loop has ended, or will not be run. */
static void chunk_done(lf_runner *runner, lf_chunk *chunk, int64_t ns) {
  lf_job *j = runner->from;
  chunk->ns = ns;
  j->chunk = chunk;
  push_ended(j);
}

static lf_job *job_new(lf_taken *e, lf_task *t, uint64_t number) {
  lf_job *j = lf_zalloc(sizeof *j);
  if (!j || lf_table_add(&e->session->jobs, number, j) != 0) {
    lf_free(j);
    return NULL;
  }
  j->entry = e;
  j->number = number;
  j->task = t;
  j->waiter.fire = job_fire;
  lf_list_init(&j->waiter.link);
  e->left++;
  e->session->all->jobs++;
  return j;
}

static void job_free(lf_job *j) {
  lf_table_del(&j->entry->session->jobs, j->number);
  j->entry->left--;
  j->entry->session->all->jobs--;
  if (j->chunk)
    lf_chunk_free(j->chunk);
  lf_task_unref(j->task);
  lf_free(j);
}

/* A task that cannot be run here, or a chunk. */
static void refuse(lf_taken *e, uint64_t number, const char *why, bool chunk) {
  lf_task *t = lf_task_new(NULL);
  lf_job *j = t ? job_new(e, t, number) : NULL;
  if (j) {
    lf_task_fail(t, LF_BROKEN, why);
    j->refused = chunk;
    push_ended(j);
  } else if (t) {
    lf_task_unref(t);
  }
}

/* Those of a broadcast, with a reference each, are collected until there is one
 * for each worker; also those that have been cancelled by then. */
static int broadcast(lf_session *s, lf_task *t) {
  int n = s->all->o->workers;
  if (!s->each)
    s->each = lf_malloc((size_t)n * sizeof(lf_task *));
  if (!s->each)
    return LF_ENOMEM;
  s->each[s->neach++] = lf_task_ref(t);
  if (s->neach < n)
    return 0;
  int err = lf_pool_broadcast(s->pool, s->each, n);
  for (int i = 0; i < n; i++) {
    if (err && s->each[i] != t && !lf_task_done(s->each[i]))
      lf_outcome_break(lf_task_ref(s->each[i]),
                       "its workers cannot be started");
    lf_task_unref(s->each[i]);
  }
  s->neach = 0;
  return err;
}

static int submit(lf_session *s, lf_task *t, bool each) {
  return each ? broadcast(s, t) : lf_pool_submit(s->pool, t, LF_TAIL);
}

/* The client wants to know that it has begun. */
static void tell_begun(lf_session *s, uint64_t number) {
  char text[40];
  snprintf(text, sizeof text, "N %" PRIu64 "\n", number);
  const lf_arg args[] = {lf_arg_text("FCALL"),
                         lf_arg_text(LF_FUNCTION("answer")), lf_arg_text("0"),
                         lf_arg_text(s->id), lf_arg_text(text)};
  if (s->all->commands)
    (void)lf_redis_send(s->all->commands, args, 5, NULL, NULL);
}

/* The task, a reference, is run; NULL: there is no memory for it. */
static void run(lf_taken *e, lf_task *t, uint64_t number) {
  lf_session *s = e->session;
  lf_job *j = t ? job_new(e, t, number) : NULL;
  if (!j) {
    if (t)
      lf_task_unref(t);
    refuse(e, number, LF_NO_MEMORY, s->end.msg.kind == LF_MSG_CHUNK);
    return;
  }
  lf_runner *r = lf_runner_of(t);
  if (r)
    r->from = j;
  else if (!lf_waiter_add(&j->waiter, t))
    push_ended(j);
  uint8_t flag = s->end.msg.kind == LF_MSG_TASK ? s->end.msg.flag : 0;
  if (flag & LF_TASK_TELL)
    tell_begun(s, number);
  if (submit(s, t, flag & LF_TASK_EACH) == 0)
    return;
  const char *why = lf_pool_broken(s->pool);
  lf_outcome_break(lf_task_ref(t), why ? why : "the member is leaving");
}

/* --- Entries --- */

static void taken_free(lf_taken *e) {
  lf_list_del(&e->link);
  lf_list_del(&e->wait);
  lf_free(e->cancelled);
  lf_free(e->numbers);
  lf_buf_fini(&e->payload);
  lf_free(e);
}

/* Takes the next number of a list with spaces or commas. False: there is none.
 */
static bool next_number(const char **list, uint64_t *number) {
  char *end;
  if (!*list)
    return false;
  const char *at = *list + strspn(*list, " ,");
  *number = strtoull(at, &end, 10);
  *list = end;
  return end != at;
}

static bool is_among(const char *list, uint64_t number) {
  uint64_t n;
  while (next_number(&list, &n))
    if (n == number)
      return true;
  return false;
}

/* When it was submitted is said by this machine's clock. */
static lf_task *receive_call(lf_session *s) {
  if (s->end.msg.b > LF_BORN_QUIETLY)
    s->end.msg.b = (uint64_t)lf_now();
  return lf_call_receive(&s->end, s->pool, NULL);
}

/* The message in hand is a task that has been cancelled: one of a broadcast
 * keeps its place among the others. */
static void begin_cancelled(lf_session *s) {
  bool each = s->end.msg.kind == LF_MSG_TASK &&
              s->end.msg.flag & LF_TASK_EACH && s->pool && !s->end.no_memory;
  lf_task *t = each ? receive_call(s) : NULL;
  if (!t)
    return;
  lf_task_cancel(t);
  (void)broadcast(s, t);
  lf_task_unref(t);
}

/* --- Futures --- */

/* The message in hand says what has become of one. */
static void learn_future(lf_session *s) {
  lf_channel *end = &s->end;
  if (!s->pool || !end->msg.id || lf_table_find(&s->futures, end->msg.id))
    return;
  lf_task *t = lf_task_new(lf_pool_owner(s->pool));
  if (!t || lf_table_add(&s->futures, end->msg.id, t) != 0) {
    if (t)
      lf_task_unref(t);
    return; /* the task that needs it is refused */
  }
  lf_state state = lf_task_receive_end(end, t);
  if (state == LF_CANCELLED && lf_task_cancel(t))
    return;
  lf_task_start(t);
  lf_task_end(t, state);
}

static void forget_futures(lf_session *s) {
  for (size_t i = 0; i < s->futures.cap; i++)
    if (s->futures.entries[i].id)
      lf_task_unref(s->futures.entries[i].value);
  lf_table_fini(&s->futures);
}

/* The message in hand is a task, or says which loop the next ones are of. */
static void begin_one(lf_taken *e) {
  lf_session *s = e->session;
  lf_channel *end = &s->end;
  uint64_t number = end->msg.id;
  bool chunk = end->msg.kind == LF_MSG_CHUNK;
  lf_entry *loop;
  if (end->msg.kind == LF_MSG_LOOP) {
    loop = lf_table_find(&s->loops, number);
    s->loop = loop ? loop->value : NULL;
  } else if (end->msg.kind == LF_MSG_DONE) {
    learn_future(s);
  } else if (is_among(e->cancelled, number)) {
    begin_cancelled(s);
  } else if (end->msg.kind == LF_MSG_NOTICE) {
    return;
  } else if (!s->pool) {
    refuse(e, number, "its workers cannot be started", chunk);
  } else if (end->no_memory || (chunk && !s->loop)) {
    refuse(e, number, "a function that it needs has not arrived", chunk);
  } else {
    run(e, chunk ? lf_chunk_receive(end, s->loop) : receive_call(s), number);
  }
}

/* The messages are not in the server any more. */
static void refuse_all(lf_taken *e) {
  const char *at = e->numbers;
  uint64_t number;
  while (next_number(&at, &number))
    if (!is_among(e->cancelled, number))
      refuse(e, number, "the server has lost its arguments", false);
}

static void begin(lf_taken *e) {
  lf_channel *end = &e->session->end;
  e->begun = true;
  if (e->payload.len == 0)
    refuse_all(e);
  lf_channel_read(end, e->payload.data, e->payload.len);
  while (lf_channel_receive(end))
    begin_one(e);
  forget_futures(e->session);
  lf_buf_fini(&e->payload);
}

/* --- What has to be fetched --- */

typedef struct {
  int n;
  char fields[FEW][24];
} lacking;

static bool add_field(lacking *l, const char *prefix, uint64_t id) {
  char field[24];
  snprintf(field, sizeof field, "%s%" PRIu64, prefix, id);
  for (int i = 0; i < l->n; i++)
    if (strcmp(l->fields[i], field) == 0)
      return true;
  if (l->n < FEW)
    snprintf(l->fields[l->n++], sizeof l->fields[0], "%s", field);
  return l->n < FEW;
}

static bool add_code(void *arg, uint64_t id) {
  return add_field(arg, "", id);
}

/* The functions and loops of the entry that are not here. */
static void find_lacking(lf_session *s, const lf_taken *e, lacking *l) {
  lf_msg msg;
  const void *at = e->payload.data;
  size_t len = e->payload.len;
  l->n = 0;
  lf_channel_lacks(&s->end, at, len, add_code, l);
  while (lf_channel_peek(&at, &len, &msg))
    if ((msg.kind == LF_MSG_LOOP && !lf_table_find(&s->loops, msg.id) &&
         !add_field(l, "l", msg.id)) ||
        (msg.kind == LF_MSG_NOTICE && msg.id > s->notice &&
         !add_field(l, "n", msg.id)))
      break;
}

/* LF_MSG_LOOP, whose functions are here. */
static void learn_loop(lf_session *s, uint64_t id, const char *bytes,
                       size_t len) {
  lf_channel *end = &s->end;
  if (s->loops.n >= LOOPS)
    drop_loops(s);
  lf_channel_read(end, bytes, len);
  if (!lf_channel_receive(end) || end->msg.kind != LF_MSG_LOOP)
    return;
  lf_loop *loop = lf_loop_receive(end, s->pool, chunk_done);
  if (loop && lf_table_add(&s->loops, id, loop) != 0)
    lf_loop_unref(loop);
}

/* One whose functions are not here is asked for again, behind these. */
static bool needs_more(lf_session *s, const char *field,
                       const redisReply *value, lacking *l) {
  char prefix[2] = {field[0]};
  int before = l->n;
  lf_channel_lacks(&s->end, value->str, value->len, add_code, l);
  if (l->n > before)
    add_field(l, prefix, strtoull(field + 1, NULL, 10));
  return l->n > before;
}

static void hold_notice(void *notice) {
  atomic_fetch_add(&((lf_told_notice *)notice)->refs, 1);
}

static void drop_notice(void *p) {
  lf_told_notice *notice = p;
  if (atomic_fetch_sub(&notice->refs, 1) != 1)
    return;
  lf_buf_fini(&notice->bytes);
  lf_free(notice);
}

/* LF_MSG_NOTICE: how interpreters start from now on. */
static void learn_notice(lf_session *s, uint64_t id, const char *bytes,
                         size_t len) {
  lf_channel *end = &s->end;
  lf_channel_read(end, bytes, len);
  lf_told_notice *n = lf_channel_receive(end) &&
                              end->msg.kind == LF_MSG_NOTICE && id > s->notice
                          ? lf_zalloc(sizeof *n)
                          : NULL;
  if (!n)
    return;
  atomic_init(&n->refs, 1);
  if (lf_buf_move(&n->bytes, &end->body) == 0) {
    const lf_notice notice = {&n->bytes, n, hold_notice, drop_notice, NULL};
    lf_pool_tell(s->pool, &notice);
    s->notice = id;
  }
  drop_notice(n);
}

typedef struct {
  lf_session *session;
  lacking what;
} fetching;

static void fetch(lf_session *s, const lacking *what);

static void learn(lf_session *s, const char *field, const redisReply *value,
                  lacking *more) {
  if (value->type != REDIS_REPLY_STRING)
    return;
  bool code = field[0] != 'l' && field[0] != 'n';
  uint64_t id = strtoull(field + !code, NULL, 10);
  if (code)
    s->got += lf_channel_learn(&s->end, id, value->str, value->len);
  else if (s->pool && !needs_more(s, field, value, more))
    (field[0] == 'l' ? learn_loop : learn_notice)(s, id, value->str,
                                                  value->len);
}

static void on_fetched(void *user, const redisReply *reply) {
  fetching *f = user;
  lf_session *s = f->session;
  lacking more = {0};
  s->fetching = false;
  bool good = reply && reply->type == REDIS_REPLY_ARRAY &&
              reply->elements == (size_t)f->what.n;
  for (int i = 0; good && i < f->what.n; i++)
    learn(s, f->what.fields[i], reply->element[i], &more);
  lf_free(f);
  if (more.n > 0)
    fetch(s, &more);
  else if (reply)
    go_on(s);
}

static void fetch(lf_session *s, const lacking *what) {
  char key[64];
  snprintf(key, sizeof key, "lfut:code:%s", s->id);
  lf_arg args[2 + FEW] = {lf_arg_text("HMGET"), lf_arg_text(key)};
  fetching *f = lf_malloc(sizeof *f);
  if (!f || !s->all->commands) {
    lf_free(f);
    return;
  }
  *f = (fetching){s, *what};
  for (int i = 0; i < what->n; i++)
    args[2 + i] = lf_arg_text(f->what.fields[i]);
  s->fetching = true;
  if (lf_redis_send(s->all->commands, args, 2 + what->n, on_fetched, f) != 0) {
    s->fetching = false;
    lf_free(f);
  }
}

static void on_greeting(void *user, const redisReply *reply) {
  lf_session *s = user;
  s->fetching = false;
  if (!reply)
    return;
  s->unusable = reply->type != REDIS_REPLY_STRING || !open_pool(s, reply);
  go_on(s);
}

static void fetch_greeting(lf_session *s) {
  char key[64];
  snprintf(key, sizeof key, "lfut:client:%s", s->id);
  const lf_arg args[] = {lf_arg_text("HGET"), lf_arg_text(key),
                         lf_arg_text("setup")};
  if (s->all->commands &&
      lf_redis_send(s->all->commands, args, 3, on_greeting, s) == 0)
    s->fetching = true;
}

static void on_parts(void *user, lf_buf *all) {
  lf_taken *e = user;
  lf_session *s = e->session;
  s->fetching = false;
  if (!all && !s->all->commands)
    return; /* it is asked for again */
  lf_buf_fini(&e->payload);
  if (all && lf_buf_move(&e->payload, all) != 0)
    lf_buf_fini(all);
  go_on(s);
}

static void fetch_parts(lf_taken *e) {
  lf_session *s = e->session;
  if (s->all->commands &&
      lf_parts_fetch(s->all->commands, s->id, e->payload.data, e->payload.len,
                     on_parts, e) == 0)
    s->fetching = true;
}

/* Begins the entries for which all is there, in their order. */
static void go_on(lf_session *s) {
  lacking l;
  while (!s->fetching && !lf_list_empty(&s->waiting)) {
    lf_taken *e = lf_container_of(s->waiting.next, lf_taken, wait);
    if (!s->pool && !s->unusable) {
      fetch_greeting(s);
      return;
    }
    if (lf_parts_is_name(e->payload.data, e->payload.len)) {
      fetch_parts(e);
      return;
    }
    if (s->pool && !e->fetched)
      lf_channel_limit(&s->end);
    if (s->pool)
      find_lacking(s, e, &l);
    if (s->pool && l.n > 0 && !(e->fetched && e->got == s->got)) {
      e->fetched = true;
      e->got = s->got;
      fetch(s, &l);
      return;
    }
    lf_list_del(&e->wait);
    begin(e);
  }
}

/* --- From the member --- */

static lf_task *find_task(lf_sessions *all, const char *client,
                          uint64_t number) {
  lf_session *s = find(all, client);
  lf_entry *e = s ? lf_table_find(&s->jobs, number) : NULL;
  return e ? ((lf_job *)e->value)->task : NULL;
}

static bool has_task(const lf_taken *e, uint64_t number) {
  lf_msg msg;
  if (lf_parts_is_name(e->payload.data, e->payload.len))
    return is_among(e->numbers, number);
  const void *at = e->payload.data;
  size_t len = e->payload.len;
  while (lf_channel_peek(&at, &len, &msg))
    if ((msg.kind == LF_MSG_TASK || msg.kind == LF_MSG_CHUNK) &&
        msg.id == number)
      return true;
  return false;
}

/* The task of the entry, which has not been begun, will not be. False: there is
 * no memory. */
static bool cancel_of(lf_taken *e, uint64_t number) {
  char text[24];
  size_t had = e->cancelled ? strlen(e->cancelled) : 0;
  size_t n = (size_t)snprintf(text, sizeof text, ",%" PRIu64, number);
  char *more = lf_realloc(e->cancelled, had + n + 1);
  if (!more)
    return false;
  memcpy(more + had, text, n + 1);
  e->cancelled = more;
  return true;
}

/* The same of one that is to stop: it ends as if it had been. */
static void stop_of(lf_taken *e, uint64_t number) {
  lf_task *t = cancel_of(e, number) ? lf_task_new(NULL) : NULL;
  lf_job *j = t ? job_new(e, t, number) : NULL;
  if (j) {
    lf_task_cancel(t);
    push_ended(j);
  } else if (t) {
    lf_task_unref(t);
  }
}

/* The entry with that task, for which something has still to be fetched; NULL:
 * there is none. */
static lf_taken *find_waiting(lf_sessions *all, const char *client,
                              uint64_t number) {
  lf_session *s = find(all, client);
  for (lf_link *l = s ? s->waiting.next : NULL; l && l != &s->waiting;
       l = l->next)
    if (has_task(lf_container_of(l, lf_taken, wait), number))
      return lf_container_of(l, lf_taken, wait);
  return NULL;
}

/* A task that is not here. It has ended, and that has been told, so that the
 * client cares for nothing else; or it is on its way: what the server answers
 * comes on another connection than what it sends by itself. */
static void note_early(lf_sessions *all, const char *client, uint64_t number,
                       bool stop) {
  lf_early *early = &all->early[all->nearly++ % LF_EARLY];
  *early = (lf_early){.number = number, .stop = stop};
  snprintf(early->client, sizeof early->client, "%s", client);
}

/* The entry has come. */
static void apply_early(lf_session *s, lf_taken *e) {
  for (int i = 0; i < LF_EARLY && s->all->nearly > 0; i++) {
    lf_early *early = &s->all->early[i];
    if (!early->number || strcmp(early->client, s->id) != 0 ||
        !has_task(e, early->number))
      continue;
    if (early->stop)
      stop_of(e, early->number);
    else
      (void)cancel_of(e, early->number);
    early->number = 0;
  }
}

/* The messages, or what names them. */
static void note_payload(lf_taken *e, const char *bytes, size_t len) {
  size_t n;
  (void)lf_buf_put(&e->payload, bytes, len);
  if (!lf_parts_is_name(bytes, len))
    return;
  const char *numbers = lf_parts_note(bytes, len, &n);
  e->numbers = lf_strndup(numbers, n);
}

void lf_sessions_take(lf_sessions *all, const char *bytes, size_t len) {
  char id[44], stream[48], client[LF_ID];
  int at = 0;
  const char *end = memchr(bytes, '\n', len);
  if (!end || sscanf(bytes, "T%43s %47s %32s %n", id, stream, client, &at) != 3)
    return;
  lf_session *s = find(all, client);
  s = s ? s : session_new(all, client);
  lf_taken *e = s ? lf_zalloc(sizeof *e) : NULL;
  if (!e)
    return; /* it is lost when the member leaves */
  e->session = s;
  snprintf(e->id, sizeof e->id, "%s", id);
  snprintf(e->stream, sizeof e->stream, "%s", stream);
  lf_list_init(&e->link);
  lf_list_init(&e->wait);
  if (at > 0 && bytes + at < end)
    e->cancelled = lf_strndup(bytes + at, (size_t)(end - bytes - at));
  note_payload(e, end + 1, len - (size_t)(end + 1 - bytes));
  lf_list_add(&all->entries, &e->link);
  lf_list_add(&s->waiting, &e->wait);
  apply_early(s, e);
  go_on(s);
}

bool lf_sessions_cancel(lf_sessions *all, const char *client, uint64_t number) {
  lf_task *t = find_task(all, client, number);
  lf_taken *e = t ? NULL : find_waiting(all, client, number);
  if (!t && !e)
    note_early(all, client, number, false);
  return t ? lf_pool_cancel(t) : !e || cancel_of(e, number);
}

bool lf_sessions_has_begun(lf_sessions *all, const char *client,
                           uint64_t number) {
  lf_task *t = find_task(all, client, number);
  return t && lf_pool_look(t) != LF_PENDING;
}

void lf_sessions_stop(lf_sessions *all, const char *text) {
  char client[LF_ID];
  uint64_t number;
  int reason;
  if (sscanf(text, "%32s %" SCNu64 " %d", client, &number, &reason) != 3)
    return;
  lf_task *t = find_task(all, client, number);
  lf_taken *e = t ? NULL : find_waiting(all, client, number);
  if (t)
    lf_pool_cancel_running(t);
  else if (e)
    stop_of(e, number);
  else
    note_early(all, client, number, true);
}

static void forget(lf_session *s) {
  s->gone = true;
  if (!s->pool)
    return;
  if (s->jobs.n > 0)
    lf_pool_kill(s->pool, SIGKILL);
  lf_pool_shutdown(s->pool, true);
  lf_pool_unhandle(s->pool);
}

void lf_sessions_forget(lf_sessions *all, const char *client) {
  lf_session *s = find(all, client);
  if (s)
    forget(s);
}

int lf_sessions_free(lf_sessions *all) {
  int free = all->o->workers;
  for (lf_link *l = all->sessions.next; l != &all->sessions; l = l->next) {
    lf_session *s = lf_container_of(l, lf_session, link);
    lf_pool_stats stats;
    if (!s->pool || s->gone)
      continue;
    lf_pool_stat(s->pool, &stats);
    free -= (int)(stats.occupied + stats.queued);
  }
  for (lf_link *l = all->entries.next; l != &all->entries; l = l->next)
    free -= !lf_container_of(l, lf_taken, link)->begun;
  return free;
}

void lf_sessions_connect(lf_sessions *all, lf_redis *commands) {
  all->commands = commands;
  for (lf_link *l = all->sessions.next; l != &all->sessions; l = l->next) {
    lf_session *s = lf_container_of(l, lf_session, link);
    for (lf_link *m = s->waiting.next; m != &s->waiting; m = m->next)
      lf_container_of(m, lf_taken, wait)->fetched = false;
    if (commands)
      go_on(s);
  }
}

/* --- What is told --- */

/* A chunk that was not run: its pool is broken, or it was cancelled. */
static int put_dropped(lf_session *s, lf_msg *msg) {
  lf_buf text;
  const char *why = lf_pool_broken(s->pool);
  lf_buf_init(&text, NULL, 0);
  (void)lf_buf_put_text(&text, why ? why : "it was cancelled");
  msg->state = LF_FAILED;
  msg->error = LF_BROKEN;
  lf_payload payload = {.body = &text, .to = text.len};
  int err = lf_channel_send(&s->end, msg, &payload);
  lf_buf_fini(&text);
  return err;
}

/* What its run has taken, if that is known. */
static int put_took(lf_session *s, const lf_job *j) {
  static const lf_payload none;
  lf_ran ran;
  if (!lf_task_ran(j->task, &ran))
    return 0;
  lf_msg msg = {.kind = LF_MSG_TOOK, .id = j->number};
  msg.a = (uint64_t)ran.begun;
  msg.b = (uint64_t)ran.ns;
  msg.c = (uint32_t)ran.process | (uint64_t)(uint32_t)ran.worker << 32;
  msg.slot = (uint64_t)getpid();
  return lf_channel_send(&s->end, &msg, &none);
}

/* How the task has ended, as the client is told. */
static int put_outcome(lf_session *s, const lf_job *j) {
  static const lf_payload none;
  lf_task *t = j->task;
  lf_msg msg = {.kind = LF_MSG_CHUNK_DONE, .id = j->number};
  int err = put_took(s, j);
  if (err)
    return err;
  if (j->chunk && j->chunk->dropped)
    return put_dropped(s, &msg);
  if (j->chunk) {
    lf_payload payload = lf_chunk_end(&msg, j->chunk);
    return lf_channel_send(&s->end, &msg, &payload);
  }
  msg.kind = j->refused ? LF_MSG_CHUNK_DONE : LF_MSG_RESULT;
  msg.a = j->refused ? 0 : lf_task_reason(t);
  msg.error = t->error;
  msg.state = lf_task_state(t) == LF_FINISHED ? LF_FINISHED : LF_FAILED;
  if (lf_task_state(t) == LF_CANCELLED && msg.a == LF_GO_ON)
    msg.a = LF_STOP_CANCEL;
  lf_payload payload = lf_task_is_forced(t) || lf_task_state(t) == LF_CANCELLED
                           ? none
                           : lf_payload_task(t);
  return lf_channel_send(&s->end, &msg, &payload);
}

static bool has_failed(const lf_job *j) {
  return j->chunk ? j->chunk->failed : lf_task_state(j->task) != LF_FINISHED;
}

/* A new place for what is told. */
static struct lf_told *add_place(lf_told_all *told, const lf_session *s) {
  struct lf_told *one = &told->v[told->n++];
  *one = (struct lf_told){0};
  snprintf(one->client, sizeof one->client, "%s", s->id);
  return one;
}

/* The place for what is told of the client; a new one has its head. */
static lf_buf *result_for(lf_told_all *told, const lf_session *s) {
  for (int i = 0; i < told->n; i++)
    if (strcmp(told->v[i].client, s->id) == 0)
      return &told->v[i].result;
  struct lf_told *one = add_place(told, s);
  (void)lf_buf_print(&one->result, "R %s\n", s->all->host);
  return &one->result;
}

/* What the task has reported, unless that has been told. */
static void put_report(lf_session *s, lf_job *j) {
  lf_report report;
  if (j->chunk || !lf_task_progress(j->task, &report) ||
      report.number == j->told)
    return;
  if (lf_report_send(&s->end, j->number, &report) == 0)
    j->told = report.number;
}

static void note(lf_told_all *told, lf_job *j) {
  lf_session *s = j->entry->session;
  if (s->gone)
    return;
  lf_buf *out = result_for(told, s);
  s->end.sink = out;
  lf_table_fini(&s->end.known); /* each result brings its functions along */
  j->told = 0;                  /* what was told before may have been lost */
  put_report(s, j);
  if (put_outcome(s, j) != 0)
    told->failed++;
  told->failed += has_failed(j);
}

/* False: there is more. */
static bool report_session(lf_session *s) {
  lf_buf out;
  lf_buf_init(&out, NULL, 0);
  (void)lf_buf_print(&out, "R %s\n", s->all->host);
  size_t head = out.len;
  s->end.sink = &out;
  size_t i = 0;
  for (; i < s->jobs.cap && out.len < REPORT_BYTES; i++)
    if (s->jobs.entries[i].id)
      put_report(s, s->jobs.entries[i].value);
  const lf_arg args[] = {lf_arg_text("FCALL"),
                         lf_arg_text(LF_FUNCTION("answer")),
                         lf_arg_text("0"),
                         lf_arg_text(s->id),
                         {out.data, out.len}};
  if (out.len > head)
    (void)lf_redis_send(s->all->commands, args, 5, NULL, NULL);
  lf_buf_fini(&out);
  return i == s->jobs.cap;
}

void lf_sessions_report(lf_sessions *all) {
  uint64_t reports = lf_reports();
  if (!all->commands || reports == all->reports)
    return;
  bool all_told = true;
  for (lf_link *l = all->sessions.next; l != &all->sessions; l = l->next) {
    lf_session *s = lf_container_of(l, lf_session, link);
    if (!s->gone && s->jobs.n > 0)
      all_told &= report_session(s);
  }
  if (all_told)
    all->reports = reports;
}

/* An entry of which nothing is left. */
static void note_end(lf_told_all *told, const lf_taken *e) {
  struct lf_told *one = add_place(told, e->session);
  snprintf(one->stream, sizeof one->stream, "%s", e->stream);
  snprintf(one->entry, sizeof one->entry, "%s", e->id);
}

/* Why the client's tasks cannot be run, once. */
static void note_broken(lf_told_all *told, lf_session *s) {
  const char *why = s->pool && !s->gone ? lf_pool_broken(s->pool) : NULL;
  if (!why || s->told_broken)
    return;
  s->told_broken = true;
  struct lf_told *one = add_place(told, s);
  (void)lf_buf_print(&one->result, "B %s\n%s", s->all->host, why);
}

/* Sessions that have gone, and whose pool has ended. */
static void tidy(lf_sessions *all) {
  for (lf_link *l = all->sessions.next, *next; l != &all->sessions; l = next) {
    lf_session *s = lf_container_of(l, lf_session, link);
    next = l->next;
    if (s->gone && s->jobs.n == 0 && !s->fetching && lf_list_empty(&s->waiting))
      session_free(s);
  }
}

/* Entries that are through. */
static void note_ends(lf_told_all *told, lf_sessions *all) {
  for (lf_link *l = all->entries.next, *next;
       l != &all->entries && told->n < PLACES - FEW; l = next) {
    lf_taken *e = lf_container_of(l, lf_taken, link);
    next = l->next;
    if (!e->begun || e->left > 0)
      continue;
    note_end(told, e);
    taken_free(e);
  }
}

/* What is large goes ahead. */
static void shrink(lf_told_all *told, lf_redis *redis) {
  for (int i = 0; i < told->n; i++) {
    struct lf_told *one = &told->v[i];
    const char *body = one->result.len > LF_LARGE
                           ? memchr(one->result.data, '\n', one->result.len)
                           : NULL;
    size_t head = body ? (size_t)(body + 1 - (char *)one->result.data) : 0;
    lf_buf small;
    if (!body || one->result.data[0] != 'R' || !redis)
      continue;
    lf_buf_init(&small, NULL, 0);
    lf_buf name;
    lf_buf_init(&name, NULL, 0);
    if (lf_buf_put(&small, one->result.data, head) == 0 &&
        lf_parts_put_result(redis, one->client, one->result.data + head,
                            one->result.len - head, &name) == 0 &&
        lf_buf_put(&small, name.data, name.len) == 0) {
      lf_buf_fini(&one->result);
      one->result = small;
    } else {
      lf_buf_fini(&small);
    }
    lf_buf_fini(&name);
  }
}

static bool has_ends(const lf_sessions *all) {
  for (const lf_link *l = all->entries.next; l != &all->entries; l = l->next) {
    const lf_taken *e = lf_container_of(l, lf_taken, link);
    if (e->begun && e->left == 0)
      return true;
  }
  return false;
}

static bool has_broken(const lf_sessions *all) {
  for (const lf_link *l = all->sessions.next; l != &all->sessions;
       l = l->next) {
    const lf_session *s = lf_container_of(l, lf_session, link);
    if (s->pool && !s->gone && !s->told_broken && lf_pool_broken(s->pool))
      return true;
  }
  return false;
}

lf_told_all *lf_sessions_collect(lf_sessions *all) {
  lf_node *node;
  if (lf_stack_is_empty(&all->ended) && !has_ends(all) && !has_broken(all)) {
    tidy(all);
    return NULL;
  }
  lf_told_all *told = lf_malloc(sizeof *told + PLACES * sizeof told->v[0]);
  if (!told)
    return NULL;
  *told = (lf_told_all){0};
  lf_list_init(&told->link);
  for (int i = 0;
       i < TOLD && told->n < PLACES / 2 && (node = lf_stack_take(&all->ended));
       i++) {
    lf_job *j = lf_container_of(node, lf_job, node);
    note(told, j);
    job_free(j);
  }
  int sessions = 0;
  for (lf_link *l = all->sessions.next; l != &all->sessions && sessions < FEW;
       l = l->next, sessions++)
    note_broken(told, lf_container_of(l, lf_session, link));
  note_ends(told, all);
  tidy(all);
  shrink(told, all->commands);
  if (told->n > 0)
    return told;
  lf_told_free(told);
  return NULL;
}

void lf_told_free(lf_told_all *told) {
  lf_list_del(&told->link);
  for (int i = 0; i < told->n; i++)
    lf_buf_fini(&told->v[i].result);
  lf_free(told);
}

/* --- The end --- */

void lf_sessions_abort(lf_sessions *all) {
  for (lf_link *l = all->sessions.next; l != &all->sessions; l = l->next) {
    lf_session *s = lf_container_of(l, lf_session, link);
    if (!s->gone)
      forget(s);
  }
}

void lf_sessions_end(lf_sessions *all) {
  lf_sessions_abort(all);
  while (lf_registry_count(&all->registry) > 0)
    lf_registry_park(&all->registry, lf_after(0.05));
}

void lf_sessions_fini(lf_sessions *all) {
  lf_node *node;
  while ((node = lf_stack_take(&all->ended)))
    job_free(lf_container_of(node, lf_job, node));
  while (!lf_list_empty(&all->entries))
    taken_free(lf_container_of(all->entries.next, lf_taken, link));
  while (!lf_list_empty(&all->sessions))
    session_free(lf_container_of(all->sessions.next, lf_session, link));
  lf_registry_fini(&all->registry);
  close(all->doorbell);
}
