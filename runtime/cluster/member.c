/* SPDX-License-Identifier: MIT
 *
 * See member.h. One thread with two connections: for commands, and one that
 * waits for what comes into its inbox. The worker processes are the sessions'.
 */
#include "runtime/cluster/member.h"

#include "runtime/base/mem.h"
#include "runtime/cluster/call.h"
#include "runtime/cluster/sessions.h"
#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define DIAL 5.0
#define NS_PER_MS INT64_C(1000000)

enum {
  REST_MS = 100,
  REPORT_MS = 200, /* between two looks at what tasks have reported */
  MOST_ENTRIES = 10000,
  AHEAD = 2, /* calls of 'done' that have not been answered: what ends meanwhile
                gathers */
};

typedef struct {
  lf_member_options *o;
  lf_sessions s;
  char id[LF_ID];
  lf_redis *commands, *inbox;
  lf_reader reader; /* of the inbox; */
  char listed[44];  /* its last entry, as 'mine' has said */
  lf_link told;     /* lf_told_all that have not been answered */
  int ntold;
  int asked;   /* entries that the server is to hand out */
  int signals; /* signalfd */
  int64_t next_beat, next_report;
  bool listing; /* 'mine' has not been answered */
  bool leaving; /* takes no more */
  bool over;    /* at once */
  bool gone;    /* the others have given it up */
} member;

/* --- Commands --- */

static int call(member *m, const char *function, const lf_arg *args, int n,
                lf_redis_reply *reply, void *user) {
  return lf_call_send(m->commands, function, args, n, reply, user);
}

/* --- What comes in --- */

/* A question about a task. */
static void answer(member *m, const char *text) {
  char client[LF_ID], what, said[64];
  uint64_t task, question;
  if (!m->commands || sscanf(text, "%32s %" SCNu64 " %" SCNu64 " %c", client,
                             &task, &question, &what) != 4)
    return;
  bool yes = what == 'c' ? lf_sessions_cancel(&m->s, client, task)
                         : lf_sessions_has_begun(&m->s, client, task);
  snprintf(said, sizeof said, "A %" PRIu64 " %d\n", question, yes);
  const lf_arg args[] = {lf_arg_text(client), lf_arg_text(said)};
  (void)call(m, LF_FUNCTION("answer"), args, 2, NULL, NULL);
}

static void receive(member *m, const char *bytes, size_t len) {
  char text[160];
  if (len < 2)
    return;
  snprintf(text, sizeof text, "%.*s", (int)(len < 150 ? len : 150), bytes);
  text[strcspn(text, "\n")] = '\0';
  switch (bytes[0]) {
  case 'T':
    m->asked -= m->asked > 0;
    lf_sessions_take(&m->s, bytes, len);
    break;
  case 'A':
    answer(m, text + 1);
    break;
  case 'S':
    lf_sessions_stop(&m->s, text + 1);
    break;
  case 'G':
    lf_sessions_forget(&m->s, text + 1);
    break;
  case 'Q':
    m->over = true;
  }
}

/* Tasks up to 'listed' have come with the answer of 'mine'. */
static void take_entry(lf_reader *reader, const char *bytes, size_t len) {
  member *m = lf_container_of(reader, member, reader);
  if (len > 0 &&
      (bytes[0] != 'T' || lf_entry_compare(reader->last, m->listed) > 0))
    receive(m, bytes, len);
}

/* From the beginning, under the member's id. */
static void begin_reading(member *m) {
  m->reader = (lf_reader){.take = take_entry, .last = "0"};
  snprintf(m->listed, sizeof m->listed, "0-0");
  snprintf(m->reader.key, sizeof m->reader.key, "lfut:inbox:%s", m->id);
}

/* --- What is told, and new tasks --- */

/* Tasks that were handed out at once: the elements from this one on. */
static void take_all(member *m, const redisReply *reply, size_t from) {
  for (size_t i = from; i < reply->elements; i++)
    if (reply->element[i]->type == REDIS_REPLY_STRING)
      receive(m, reply->element[i]->str, reply->element[i]->len);
}

/* The first has been answered, or nobody wants it any more. */
static void drop_first(member *m) {
  if (lf_list_empty(&m->told))
    return;
  lf_told_free(lf_container_of(m->told.next, lf_told_all, link));
  m->ntold--;
}

static void on_done(void *user, const redisReply *reply) {
  member *m = user;
  if (!reply)
    return;
  drop_first(m);
  if (reply->type == REDIS_REPLY_ARRAY)
    take_all(m, reply, 0);
  else
    m->gone |= reply->type == REDIS_REPLY_NIL;
}

static int send_told(member *m, const lf_told_all *told, int wanted) {
  lf_digits a, b;
  size_t n = 3 + 4 * (size_t)told->n;
  lf_arg *args = lf_malloc(n * sizeof *args);
  if (!args)
    return LF_ENOMEM;
  args[0] = lf_arg_text(m->id);
  args[1] = lf_arg_int(a, wanted);
  args[2] = lf_arg_int(b, told->failed);
  for (int i = 0; i < told->n; i++) {
    const struct lf_told *one = &told->v[i];
    lf_arg *at = args + 3 + 4 * i;
    at[0] = lf_arg_text(one->stream);
    at[1] = lf_arg_text(one->entry);
    at[2] = lf_arg_text(one->client);
    at[3] = (lf_arg){one->result.data ? (void *)one->result.data : "",
                     one->result.len};
  }
  int err = call(m, LF_FUNCTION("done"), args, (int)n, on_done, m);
  lf_free(args);
  return err;
}

/* Tells what has ended, and asks for as many as could run. */
static void exchange(member *m) {
  lf_told_all *told;
  if (m->listing)
    return;
  do {
    if (m->ntold >= AHEAD)
      return;
    told = lf_sessions_collect(&m->s);
    int wanted = m->leaving ? 0 : lf_sessions_free(&m->s) - m->asked;
    wanted = wanted > 0 ? wanted : 0;
    if (!told && wanted == 0)
      return;
    if (!told) {
      told = lf_zalloc(sizeof *told);
      if (!told)
        return;
      lf_list_init(&told->link);
    }
    lf_list_add(&m->told, &told->link);
    m->ntold++;
    m->asked += wanted;
    (void)send_told(m, told, wanted);
  } while (told->n > 0);
}

/* --- Beats --- */

static void on_beat(void *user, const redisReply *reply) {
  member *m = user;
  m->gone |= reply && reply->type == REDIS_REPLY_NIL;
}

static int64_t lease_ms(const member *m) {
  return (int64_t)(m->o->heartbeat * 1000);
}

static void beat(member *m) {
  lf_digits lease;
  if (lf_now() < m->next_beat)
    return;
  m->next_beat = lf_now() + lease_ms(m) * NS_PER_MS / 3;
  const lf_arg args[] = {lf_arg_text("members"), lf_arg_text(m->id),
                         lf_arg_int(lease, lease_ms(m))};
  (void)call(m, LF_FUNCTION("beat"), args, 3, on_beat, m);
}

/* --- Reports --- */

static void report(member *m) {
  if (lf_now() < m->next_report)
    return;
  m->next_report = lf_now() + REPORT_MS * NS_PER_MS;
  lf_sessions_report(&m->s);
}

/* When it is to be looked again, not long after that: while tasks run. */
static int64_t next_time(const member *m) {
  return m->s.jobs > 0 && m->next_report < m->next_beat ? m->next_report
                                                        : m->next_beat;
}

/* --- Connecting --- */

static bool join(member *m, lf_redis *redis, char *why, size_t size) {
  lf_digits lease, workers, pid;
  lf_cluster_new_id(m->id);
  begin_reading(m);
  const lf_arg args[] = {lf_arg_text(m->id),
                         lf_arg_text(lf_cluster_version()),
                         lf_arg_int(lease, lease_ms(m)),
                         lf_arg_int(workers, m->o->workers),
                         lf_arg_int(pid, getpid()),
                         lf_arg_text(m->s.host)};
  return lf_call_is_let_in(lf_call_ask(redis, LF_FUNCTION("join"), args, 6),
                           why, size);
}

/* The entries that are here, or have just been told to be through. */
static size_t list_known(const member *m, lf_arg *args, size_t most) {
  size_t n = 0;
  for (lf_link *l = m->s.entries.next; l != &m->s.entries && n < most;
       l = l->next)
    args[n++] = lf_arg_text(lf_container_of(l, lf_taken, link)->id);
  for (lf_link *l = m->told.next; l != &m->told; l = l->next) {
    const lf_told_all *told = lf_container_of(l, lf_told_all, link);
    for (int i = 0; i < told->n && n < most; i++)
      if (told->v[i].entry[0])
        args[n++] = lf_arg_text(told->v[i].entry);
  }
  return n;
}

/* The last of the inbox, and the entries. */
static void on_mine(void *user, const redisReply *reply) {
  member *m = user;
  m->listing = false;
  if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements == 0 ||
      reply->element[0]->type != REDIS_REPLY_STRING)
    return;
  snprintf(m->listed, sizeof m->listed, "%s", reply->element[0]->str);
  take_all(m, reply, 1);
  m->asked = 0;
}

/* Everything that the server has for us, but for what is known; it hands out
 * nothing more. */
static void ask_mine(member *m) {
  lf_arg *args = lf_malloc((1 + MOST_ENTRIES) * sizeof *args);
  if (!args)
    return;
  args[0] = lf_arg_text(m->id);
  size_t n = 1 + list_known(m, args + 1, MOST_ENTRIES);
  m->listing = call(m, LF_FUNCTION("mine"), args, (int)n, on_mine, m) == 0;
  lf_free(args);
}

static void drop_told(member *m) {
  while (!lf_list_empty(&m->told))
    drop_first(m);
}

static void disconnect(member *m) {
  lf_redis *commands = m->commands, *inbox = m->inbox;
  m->commands = m->inbox = NULL;
  lf_sessions_connect(&m->s, NULL);
  lf_redis_close(commands);
  lf_redis_close(inbox);
}

/* The others have given it up: what runs here is not wanted any more. */
static void start_over(member *m) {
  lf_sessions_abort(&m->s);
  drop_told(m);
  m->asked = 0;
  m->gone = false;
  m->id[0] = '\0';
}

static bool connect_both(member *m, char *why, size_t size) {
  lf_redis *inbox = NULL;
  lf_redis *commands = lf_redis_open(&m->o->url, DIAL, why, size);
  if (commands)
    inbox = lf_redis_open(&m->o->url, DIAL, why, size);
  bool known = inbox && m->id[0] &&
               lf_call_beat(commands, "members", m->id, lease_ms(m)) >= 0;
  if (inbox && !known && m->id[0])
    start_over(m);
  if (!inbox || (!known && !join(m, commands, why, size))) {
    lf_redis_close(commands);
    lf_redis_close(inbox);
    return false;
  }
  m->commands = commands;
  m->inbox = inbox;
  m->next_beat = lf_now() + lease_ms(m) * NS_PER_MS / 3;
  lf_sessions_connect(&m->s, commands);
  if (known)
    ask_mine(m);
  for (lf_link *l = m->told.next; l != &m->told; l = l->next)
    (void)send_told(m, lf_container_of(l, lf_told_all, link), 0);
  lf_reader_go_on(&m->reader, inbox);
  return true;
}

/* --- Signals --- */

static void read_signals(member *m) {
  struct signalfd_siginfo info;
  while (read(m->signals, &info, sizeof info) == sizeof info) {
    if (m->leaving || m->o->parent) {
      m->over = true;
    } else if (m->commands) {
      m->leaving = true;
      if (!m->o->quiet)
        fprintf(stderr, "lfut: leaving when what runs has ended\n");
      ask_mine(m); /* it waits for no more */
    } else {
      m->over = true;
    }
  }
}

static bool catch_signals(member *m) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return m->signals >= 0;
}

/* --- Life --- */

static void sleep_on(member *m) {
  uint64_t n;
  struct pollfd fds[4] = {{.fd = m->s.doorbell, .events = POLLIN},
                          {.fd = m->signals, .events = POLLIN}};
  lf_redis *const both[] = {m->commands, m->inbox};
  for (int i = 0; i < 2; i++) {
    fds[2 + i].fd = both[i] ? lf_redis_fd(both[i]) : -1;
    fds[2 + i].events =
        (short)(POLLIN | (both[i] && lf_redis_is_full(both[i]) ? POLLOUT : 0));
  }
  int64_t ms = (next_time(m) - lf_now()) / NS_PER_MS + 1;
  ms = m->commands ? (ms > 0 ? ms : 0) : REST_MS;
  poll(fds, 4, (int)ms);
  while (fds[0].revents && read(m->s.doorbell, &n, sizeof n) > 0)
    continue;
  read_signals(m);
}

/* False: the connection is lost. */
static bool move(member *m) {
  beat(m);
  report(m);
  if (!lf_redis_receive(m->inbox) || !lf_redis_receive(m->commands))
    return false;
  exchange(m);
  return lf_redis_flush(m->commands) && lf_redis_flush(m->inbox) && !m->gone;
}

static bool is_done(const member *m) {
  return m->over || (m->leaving && !m->listing && m->s.jobs == 0 &&
                     lf_list_empty(&m->s.entries) && lf_list_empty(&m->told));
}

/* Waits for the server to come back. False: it does not. */
static bool reconnect(member *m, int64_t *until, char *why, size_t size) {
  *until = *until ? *until : lf_after(m->o->reconnect);
  if (connect_both(m, why, size)) {
    *until = 0;
    return true;
  }
  return lf_now() < *until;
}

static bool live(member *m, char *why, size_t size) {
  int64_t until = 0;
  while (!is_done(m)) {
    if (m->commands && !move(m)) {
      if (m->gone && !m->o->quiet)
        fprintf(stderr, "lfut: the others took this member for dead; "
                        "joining again\n");
      disconnect(m);
    } else if (!m->commands && !reconnect(m, &until, why, size)) {
      return false;
    }
    if (!is_done(m))
      sleep_on(m);
  }
  return true;
}

static void leave(member *m) {
  const lf_arg args[] = {lf_arg_text(m->id)};
  if (!m->commands)
    return;
  redisReply *reply = lf_call_ask(m->commands, LF_FUNCTION("leave"), args, 1);
  if (reply)
    freeReplyObject(reply);
}

/* A private one ends with its parent, and clears up after it. */
static void end_private(const member *m) {
  char path[300];
  static const char *const files[] = {"redis.sock", "redis.log", "redis.pid"};
  if (!m->o->dir)
    return;
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    snprintf(path, sizeof path, "%s/%s", m->o->dir, files[i]);
    unlink(path);
  }
  rmdir(m->o->dir);
}

/* For the worker processes, and what they start: which cluster this is. */
static void set_environment(const lf_url *url) {
  lf_buf text;
  lf_buf_init(&text, NULL, 0);
  if (lf_url_put(url, &text) == 0 && lf_buf_put(&text, "", 1) == 0)
    setenv("LFUT_CLUSTER", (char *)text.data, 1);
  lf_buf_fini(&text);
}

int lf_member_main(lf_member_options *o) {
  char why[300] = "";
  member m = {.o = o};
  lf_list_init(&m.told);
  set_environment(&o->url);
  if (o->parent) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != o->parent)
      return end_private(&m), EXIT_FAILURE;
  }
  if (!lf_sessions_init(&m.s, o) || !catch_signals(&m) ||
      !connect_both(&m, why, sizeof why)) {
    fprintf(stderr, "lfut: %s\n", why[0] ? why : strerror(errno));
    return EXIT_FAILURE;
  }
  if (!o->quiet)
    fprintf(stderr, "lfut: joined with %d worker%s\n", o->workers,
            o->workers == 1 ? "" : "s");
  bool good = live(&m, why, sizeof why);
  if (!good)
    fprintf(stderr, "lfut: the server is lost: %s\n", why);
  leave(&m);
  lf_sessions_end(&m.s);
  disconnect(&m);
  drop_told(&m);
  lf_sessions_fini(&m.s);
  close(m.signals);
  end_private(&m);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
