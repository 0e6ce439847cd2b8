/* SPDX-License-Identifier: MIT
 *
 * The thread of a pool that starts its worker processes, sees them end, and
 * moves messages when nobody else does. See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/os/spin.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/profile.h"
#include "runtime/process/launch.h"
#include "runtime/process/serve.h"
#include "runtime/process/task_io.h"
#include "runtime/shm/arena.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Seconds before the next try, when the system has refused. */
#define REST 0.1

enum {
  NAP_NS = 200000, /* between two looks while others look, too */
  FAILURES = 10,   /* starts in a row that may come to nothing */
  EVENTS = 16,
};

/* --- Starting --- */

/* Under the lock: a worker could not be started. If that goes on, and there is
 * no other, the pool is broken: why; else NULL, and it is tried again. */
static char *note_trouble(lf_pool *p, const char *text) {
  snprintf(lf_members_of(p)->trouble, sizeof lf_members_of(p)->trouble, "%s",
           text);
  lf_members_of(p)->rest_until = lf_after(REST);
  for (lf_worker *w = p->workers; w; w = w->next) {
    const lf_proc *c = lf_worker_proc(w);
    if (c && !c->stopping && c->left > 0)
      return NULL;
  }
  if (++lf_members_of(p)->failures < FAILURES && !lf_members_of(p)->no_template)
    return NULL;
  return lf_words(text, strlen(text));
}

/* Arrays that the worker has given are gone: it is to be told. */
static void rouse(lf_giver *giver) {
  lf_proc *c = lf_container_of(giver, lf_proc, end.array_refs.giver);
  lf_members_kick(c->worker->pool);
}

static lf_proc *proc_new(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_proc *c = lf_zalloc(sizeof *c);
  if (!c)
    return NULL;
  c->worker = w;
  c->pidfd = -1;
  c->left = p->o.max_tasks ? p->o.max_tasks : UINT64_MAX;
  c->region = lf_region_new(&c->fd);
  if (!c->region) {
    lf_free(c);
    return NULL;
  }
  lf_fd_own(c->fd);
  lf_list_init(&c->link);
  lf_list_init(&c->in_flight);
  lf_list_init(&c->landed);
  lf_list_init(&c->gathering);
  lf_parker_init_shared(&c->region->parker);
  lf_parker_init_shared(&c->region->desk.parker);
  atomic_store(&c->region->closed, p->shutdown);
  lf_channel_init(&c->end, &c->region->out, &c->region->in, &lf_requests_names,
                  c, p->o.ops->annotate);
  lf_array_refs_init(&c->end.array_refs, false, rouse);
  c->end.owner = c->region->owner = lf_owner_new();
  return c;
}

/* Everything of it but the process, and what it had to do. */
static void proc_free(lf_proc *c) {
  lf_channel_fini(&c->end);
  lf_region_unmap(c->region);
  lf_fd_close(c->fd);
  lf_fd_close(c->pidfd);
  for (uint32_t i = 0; i < c->nflights; i++)
    lf_free(c->flights[i]);
  lf_free(c->flights);
  lf_free(c);
}

/* Has the end of the process seen. If the system refuses what that takes, it is
 * looked at now and then (look_at_unwatched). */
static void watch(lf_members *f, lf_proc *c) {
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = c->worker};
  int fd = (int)syscall(SYS_pidfd_open, c->pid, 0);
  if (fd >= 0 && epoll_ctl(f->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
    close(fd);
    fd = -1;
  }
  c->pidfd = fd;
  if (fd >= 0)
    lf_fd_own(fd);
}

/* Under the lock: what the process was sent and has not begun goes back. */
static void take_all_back(lf_pool *p, lf_proc *c) {
  lf_link back;
  lf_list_init(&back);
  lf_channel_drop_parcels(&c->end);
  lf_proc_recall(c, &(lf_recall){.what = LF_MOVABLE}, &back);
  lf_members_requeue(p, &back);
}

static void note_not_started(lf_worker *w, const char *why, int err) {
  lf_pool *p = w->pool;
  char text[300];
  snprintf(text, sizeof text, "cannot start a worker process: %s%s%s", why,
           err ? ": " : "", err ? strerror(err) : "");
  pthread_mutex_lock(&p->lock);
  lf_proc *c = lf_worker_proc(w);
  if (w->mode != LF_WORKER_STARTING) { /* nobody wants it any more */
    pthread_mutex_unlock(&p->lock);
    return;
  }
  if (c) {
    take_all_back(p, c);
    lf_requests_forget(c);
    lf_members_remove(c);
  }
  w->own = NULL;
  lf_members_of(p)->starting--;
  lf_members_forget(p, w);
  char *broken = note_trouble(p, text);
  pthread_mutex_unlock(&p->lock);
  if (c)
    proc_free(c);
  if (broken)
    lf_pool_break(p, broken);
  lf_words_free(broken);
}

/* The process is there: it can be waited for. */
static void note_started(lf_worker *w, pid_t pid) {
  lf_pool *p = w->pool;
  pthread_mutex_lock(&p->lock);
  lf_proc *c = lf_worker_proc(w);
  c->pid = pid;
  lf_fd_close(c->fd); /* there may be no room for another */
  c->fd = -1;
  watch(lf_members_of(p), c);
  if (c->interrupt)
    lf_members_signal(c, SIGURG);
  if (c->signal)
    lf_members_signal(c, c->signal);
  pthread_mutex_unlock(&p->lock);
}

/* What a worker that was not forked has to know. */
static int greet(lf_proc *c) {
  const lf_pool_options *o = &c->worker->pool->o;
  lf_msg msg = {.kind = LF_MSG_SETUP, .a = (uint64_t)o->max_workers};
  lf_payload payload = {.body = o->greeting, .to = o->greeting->len};
  payload.tail = o->name;
  payload.tail_len = strlen(o->name);
  return lf_channel_send(&c->end, &msg, &payload);
}

static void start(lf_worker *w) {
  lf_pool *p = w->pool;
  lf_proc *c = proc_new(w);
  if (!c) {
    note_not_started(w, "no shared memory", errno);
    return;
  }
  int err = p->o.program ? greet(c) : 0;
  pthread_mutex_lock(&p->lock);
  bool wanted =
      w->mode == LF_WORKER_STARTING; /* nobody has thought better of it */
  w->own = wanted ? c : NULL;
  if (wanted)
    lf_members_place(c);
  pthread_mutex_unlock(&p->lock);
  if (!wanted) {
    proc_free(c);
    return;
  }
  err = err ? -ENOMEM : lf_launch(p, w->id, c->fd);
  if (err < 0)
    note_not_started(w, lf_launch_what(p), -err);
  else if (err > 0) /* spawned: it is there already */
    note_started(w, err);
}

/* The next one that is to be started, or NULL. */
static lf_worker *wanted(lf_pool *p) {
  lf_worker *w;
  pthread_mutex_lock(&p->lock);
  for (w = p->workers; w; w = w->next)
    if (w->mode == LF_WORKER_STARTING && !w->own)
      break;
  pthread_mutex_unlock(&p->lock);
  return w;
}

static lf_worker *by_id(lf_pool *p, int id) {
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->id == id)
      return w;
  return NULL;
}

/* Not by closing alone: a process between fork and exec may hold a copy. */
static void unwatch(lf_members *f, int fd) {
  epoll_ctl(f->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* The template answers. */
static void read_template(lf_pool *p) {
  lf_launched news;
  int n;
  while ((n = lf_launch_receive(lf_members_of(p)->control, &news)) > 0) {
    lf_worker *w = by_id(p, news.id);
    if (w && w->own && news.pid > 0)
      note_started(w, news.pid);
    else if (w && w->own)
      note_not_started(w, "fork", -news.pid);
  }
  if (n == 0)
    return;
  /* It has died: those that were being started may not be. */
  pthread_mutex_lock(&p->lock);
  unwatch(lf_members_of(p), lf_members_of(p)->control);
  lf_fd_close(lf_members_of(p)->control);
  lf_members_of(p)->control = -1;
  lf_members_of(p)->no_template = true;
  snprintf(lf_members_of(p)->trouble, sizeof lf_members_of(p)->trouble, "%s",
           "the process that workers are forked from has died");
  pthread_mutex_unlock(&p->lock);
  waitpid(lf_members_of(p)->template, NULL, 0);
  lf_members_of(p)->template = 0;
  for (lf_worker *w = p->workers; w; w = w->next)
    if (w->mode == LF_WORKER_STARTING && w->own && !lf_worker_proc(w)->pid)
      note_not_started(w, "the process that they are forked from has died", 0);
}

/* --- Ending --- */

/* A worker that died before it was ready: what that means for the pool. */
static char *died_starting(lf_pool *p, const lf_lost *lost,
                           const char *within) {
  lf_buf words;
  char *text = NULL;
  lf_buf_init(&words, NULL, 0);
  bool by_hand = lost->signal == SIGKILL || lost->signal == SIGTERM ||
                 lost->signal == SIGINT || lost->signal == SIGHUP ||
                 lost->signal == SIGQUIT;
  bool refused = !lost->signal && lost->exitcode == LF_SERVE_REFUSED;
  if (refused)
    lf_members_of(p)->rest_until = lf_after(REST);
  if ((by_hand || refused) && ++lf_members_of(p)->failures < FAILURES &&
      !lf_members_of(p)->no_template)
    return NULL;
  if (lf_lost_put(&words, lost, NULL, within) == 0)
    text =
        lf_words((char *)words.data + sizeof *lost, words.len - sizeof *lost);
  lf_buf_fini(&words);
  return text ? text : lf_words(LF_NO_MEMORY, strlen(LF_NO_MEMORY));
}

/* Under the lock: a task that the worker had begun. */
static void lose_begun(lf_proc *c, lf_in_flight *f, lf_link *lost) {
  lf_task *t = f->task;
  lf_proc_finish_flight(f);
  lf_task_start(t); /* as far as was known here */
  if (lf_members_again(c->worker->pool, t)) {
    if (!lf_runner_of(t)) /* else its end is counted */
      lf_profile_lost(lf_pool_profile(c->worker->pool), lf_task_counted(t));
    return;
  }
  c->worker->started++;
  c->worker->failed++;
  t->stage = LF_STAGE_FAILED;
  lf_list_add(lost, &t->link);
}

/* Under the lock: what it had begun is lost, the rest goes back. */
static void sort_out(lf_pool *p, lf_proc *c, lf_link *lost) {
  take_all_back(p, c);
  lf_in_flight *f;
  EACH_FLIGHT(f, c) {
    lf_task *t = f->task;
    if (!t->pinned || !lf_proc_take_back(f)) { /* begun */
      lose_begun(c, f, lost);
    } else {
      lf_list_add(&c->worker->pinned, &t->link);
      c->worker->npinned++;
      lf_members_of(p)->pinned = true;
    }
  }
}

static lf_lost status_of(const lf_proc *c) {
  siginfo_t info = {0};
  lf_lost lost = {.pid = c->pid};
  if (waitid(P_PID, (id_t)c->pid, &info, WEXITED) != 0)
    lost.signal = SIGKILL; /* someone else has waited for it */
  else if (info.si_code == CLD_EXITED)
    lost.exitcode = info.si_status;
  else
    lost.signal = info.si_status;
  return lost;
}

/* It has died of writing into the program's output, which nobody reads any
 * more: so does the program. */
static void share_end_of_pipe(lf_lost lost) {
  struct pollfd out = {.fd = STDOUT_FILENO};
  if (lost.signal == SIGPIPE && poll(&out, 1, 0) == 1 && out.revents & POLLERR)
    kill(getpid(), SIGPIPE);
}

/* Under the lock: if it has ended itself for a task that did not stop, that is
 * what has become of the task. */
static void note_given_up(lf_proc *c) {
  lf_in_flight *f = lf_proc_find(c, atomic_load(&c->region->given_up));
  uint32_t reason = atomic_load(&c->region->given_up_for);
  if (!f || reason == LF_GO_ON || reason > LF_STOP_MEMORY)
    return;
  lf_task_start(f->task); /* as far as was known here */
  lf_task_stop(f->task, (lf_reason)reason);
}

/* The process has ended. */
static void reap(lf_worker *w, lf_lost lost) {
  lf_pool *p = w->pool;
  lf_proc *c = lf_worker_proc(w);
  lf_link tasks, *l;
  char within[sizeof c->region->crash];
  share_end_of_pipe(lost);
  lf_list_init(&tasks);
  snprintf(within, sizeof within, "%.*s", (int)sizeof within - 1,
           c->region->crash);
  if (c->pidfd >= 0)
    unwatch(lf_members_of(p), c->pidfd);
  lf_pump(p); /* what it has said */
  pthread_mutex_lock(&p->lock);
  char *broken = NULL;
  note_given_up(c);
  if (lf_is_traced())
    lf_proc_put_rest(c);
  sort_out(p, c, &tasks);
  if (!c->ready) {
    lf_members_of(p)->starting--;
    if (!c->stopping)
      broken = died_starting(p, &lost, within);
  }
  lf_requests_forget(c);
  lf_members_remove(c);
  lf_members_forget(p, w);
  w->own = NULL;
  if (w->npinned > 0 && !p->broken && !broken && !lf_members_of(p)->no_template)
    lf_members_start_worker(p, w); /* a broadcast still wants this very one */
  pthread_mutex_unlock(&p->lock);
  proc_free(c);
  while ((l = lf_list_pop(&tasks)))
    lf_outcome_lose(lf_container_of(l, lf_task, link), &lost, within);
  if (broken)
    lf_pool_break(p, broken);
  lf_words_free(broken);
  lf_pump(p);
}

/* --- The thread --- */

/* Workers whose pids the template could not tell any more. */
static void find_pids(lf_pool *p) {
  for (lf_worker *w = p->workers; w; w = w->next) {
    const lf_proc *c = lf_worker_proc(w);
    if (c && c->pid == 0 && c->own_pid > 0)
      note_started(w, c->own_pid);
  }
}

static bool has_ended(pid_t pid) {
  siginfo_t info = {0};
  int r = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
  return r != 0 || info.si_pid != 0;
}

/* Those whose end the system would not tell. */
static void look_at_unwatched(lf_pool *p) {
  lf_members_of(p)->unwatched = 0;
  for (lf_worker *w = p->workers; w; w = w->next) {
    lf_proc *c = lf_worker_proc(w);
    if (!c || c->pid == 0 || c->pidfd >= 0)
      continue;
    if (has_ended(c->pid)) {
      reap(w, status_of(c));
      continue;
    }
    pthread_mutex_lock(&p->lock);
    watch(lf_members_of(p), c);
    pthread_mutex_unlock(&p->lock);
    lf_members_of(p)->unwatched += c->pidfd < 0;
  }
}

static void drain_doorbell(lf_members *f) {
  uint64_t n;
  atomic_store(&f->rung, true);
  while (read(f->doorbell, &n, sizeof n) > 0)
    continue;
}

static void look_at_events(lf_pool *p, struct epoll_event *events, int n) {
  for (int i = 0; i < n; i++) {
    void *what = events[i].data.ptr;
    if (what == &lf_members_of(p)->doorbell)
      drain_doorbell(lf_members_of(p));
    else if (what == &lf_members_of(p)->control)
      read_template(p);
    else
      reap(what, status_of(lf_worker_proc(what)));
  }
}

/* Sleeps until something happens. While others look after the messages, it
 * only looks whether they still do. */
static void sleep_on(lf_pool *p, uint64_t *visits) {
  struct epoll_event events[EVENTS];
  lf_members *f = lf_members_of(p);
  struct timespec nap = {.tv_nsec = NAP_NS};
  uint64_t now = atomic_load(&f->visits);
  bool napping = now != *visits;
  *visits = now;
  if (!napping) {
    lf_pump_arm(p, true);
    if (lf_pump_has_news(p, true)) {
      atomic_store(&f->deep, false);
      return;
    }
  }
  bool brief = napping || f->unwatched > 0 || atomic_load(&f->unbalanced) ||
               f->rest_until > lf_now();
  lf_count_awake(-1);
  int n = (int)syscall(SYS_epoll_pwait2, f->epoll, events, EVENTS,
                       brief ? &nap : NULL, NULL, (size_t)8);
  if (n < 0 && errno != EINTR) /* an old system */
    n = epoll_wait(f->epoll, events, EVENTS, brief ? 1 : -1);
  lf_count_awake(1);
  atomic_store(&f->deep, false);
  look_at_events(p, events, n);
}

/* Without descriptors of processes nobody would see their ends. */
static bool can_watch(lf_members *f) {
  int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
  if (fd >= 0) {
    close(fd);
    return true;
  }
  snprintf(f->trouble, sizeof f->trouble, "pidfd_open: %s", strerror(errno));
  return false;
}

static bool open_all(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  if (!can_watch(f))
    return false;
  f->epoll = epoll_create1(EPOLL_CLOEXEC);
  f->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (f->epoll < 0 || f->doorbell < 0)
    return false;
  lf_fd_own(f->epoll);
  lf_fd_own(f->doorbell);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &f->doorbell};
  epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->doorbell, &event);
  if (!lf_launch_open(p))
    return false;
  event.data.ptr = &f->control;
  if (f->control >= 0)
    epoll_ctl(f->epoll, EPOLL_CTL_ADD, f->control, &event);
  return true;
}

/* Sets p->ended, which only the supervisor reads, when nothing can happen any
 * more.
 */
static bool is_over(lf_pool *p) {
  pthread_mutex_lock(&p->lock);
  bool over = lf_pool_try_end(p);
  pthread_mutex_unlock(&p->lock);
  return over;
}

/* When all workers are leaving: it is gone then about when they are. */
static void end_template(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  pthread_mutex_lock(&p->lock);
  bool over = !lf_pool_is_open(p) && p->live == 0 && p->queued == 0 &&
              lf_members_is_quiet(p);
  for (lf_worker *w = p->workers; w; w = w->next)
    over = over &&
           (!w->own || lf_worker_proc(w)->pid > 0); /* it has told all pids */
  pthread_mutex_unlock(&p->lock);
  if (over && f->template > 0)
    kill(f->template, SIGKILL);
}

static void close_all(lf_pool *p) {
  lf_members *f = lf_members_of(p);
  pthread_mutex_lock(&p->lock);
  int epoll = f->epoll, control = f->control;
  int doorbell = atomic_exchange(&f->doorbell, -1);
  lf_requests_tell(p); /* frees what has ended for nobody */
  f->epoll = f->control = -1;
  lf_count_awake(-f->counted);
  f->counted = 0;
  pthread_mutex_unlock(&p->lock);
  lf_fd_close(control);
  if (f->template > 0) {
    kill(f->template, SIGKILL); /* it may not see that its socket is closed */
    waitpid(f->template, NULL, 0);
  }
  lf_hold_end(&f->hold);
  lf_fd_close(epoll);
  for (int looks = 0; atomic_load(&f->ringing) > 0;)
    lf_relax_for_other(&looks);
  lf_fd_close(doorbell);
}

void lf_supervisor_main(void *pool) {
  lf_pool *p = pool;
  uint64_t visits = 0;
  lf_worker *w;
  lf_members_of(p)->supervisor = pthread_self();
  bool good = open_all(p);
  if (!good && !lf_members_of(p)->trouble[0])
    snprintf(lf_members_of(p)->trouble, sizeof lf_members_of(p)->trouble, "%s",
             strerror(errno));
  lf_members_of(p)->failures = good ? 0 : -1;
  lf_unpark(lf_members_of(p)->opening);
  while (good && !p->ended) {
    while ((w = wanted(p))) {
      start(w);
      if (lf_members_of(p)->control >= 0)
        read_template(p); /* so that it can go on answering */
    }
    atomic_store(&lf_members_of(p)->unbalanced, false);
    lf_pump(p);
    if (lf_members_of(p)->no_template && !p->o.program)
      find_pids(p);
    look_at_unwatched(p);
    end_template(p);
    if (!wanted(p) && !is_over(p))
      sleep_on(p, &visits);
  }
  pthread_mutex_lock(&p->lock);
  p->ended = p->shutdown = true;
  pthread_mutex_unlock(&p->lock);
  close_all(p);
  lf_pool_end(p);
  lf_pool_unref(p);
}
