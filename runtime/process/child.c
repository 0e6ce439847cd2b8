/* SPDX-License-Identifier: MIT
 *
 * See child.h. Waiting and reaping are two steps, the second under the lock
 * under which signals are sent: none goes to a number that the system has
 * given to another process since. */
#include "runtime/process/child.h"
#include "runtime/base/atfork.h"

#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/os/spin.h"
#include "runtime/os/thread.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/array.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UNKNOWN = 255 }; /* exit code of one that others have reaped */

struct lf_child {
  _Atomic uint32_t refs;
  const void *program; /* immutable, as the next */
  bool daemon;
  lf_task *over;
  void (*body)(void *arg);
  void *arg;
  /* Written by the child's thread before 'forked', then immutable. */
  uint32_t generation; /* of the parent */
  bool here;
  pid_t pid;
  int err;            /* errno of fork */
  atomic_bool forked; /* or failed to */
  lf_parker starter;
  lf_link link;         /* from its start; the lock, as 'reaped' */
  bool reaped;          /* the number is another's, or will be */
  _Atomic int exitcode; /* LF_RUNNING_YET until it is reaped */
};

/* Those that this process has started, and those of processes further up. */
static lf_link started = {&started, &started};
static lf_link others = {&others, &others};

static void be_forked(void) {
  lf_list_move(&others, &started);
}

LF_FORK_MUTEX(lock, LF_FORK_CHILDREN, be_forked); /* for both */

lf_child *lf_child_new(const void *program, bool daemon) {
  lf_child *c = lf_zalloc(sizeof *c);
  lf_task *over = lf_task_new_event("the end of a process");
  if (!c || !over) {
    lf_free(c);
    if (over)
      lf_task_unref(over);
    return NULL;
  }
  atomic_init(&c->refs, 1);
  atomic_init(&c->exitcode, LF_RUNNING_YET);
  c->program = program;
  c->daemon = daemon;
  c->over = over;
  lf_parker_init(&c->starter);
  lf_list_init(&c->link);
  return c;
}

lf_child *lf_child_ref(lf_child *c) {
  atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
  return c;
}

void lf_child_unref(void *child) {
  lf_child *c = child;
  if (atomic_fetch_sub(&c->refs, 1) != 1)
    return;
  pthread_mutex_lock(&lock);
  lf_list_del(&c->link);
  pthread_mutex_unlock(&lock);
  lf_task_unref(c->over);
  lf_free(c);
}

/* --- The child's thread --- */

/* Lets the starter go on. */
static void tell_starter(lf_child *c, pid_t pid, int err) {
  c->pid = pid;
  c->err = err;
  if (pid > 0) {
    pthread_mutex_lock(&lock);
    lf_list_add(&started, &c->link);
    pthread_mutex_unlock(&lock);
  }
  atomic_store(&c->forked, true);
  lf_unpark(&c->starter);
}

static void await_end(lf_child *c) {
  siginfo_t info;
  lf_count_awake(-1);
  while (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT) != 0 &&
         errno == EINTR)
    continue;
  lf_count_awake(1);
}

static int exitcode_of(int status) {
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void reap(lf_child *c) {
  int status;
  await_end(c);
  pthread_mutex_lock(&lock);
  pid_t pid = waitpid(c->pid, &status, WNOHANG);
  c->exitcode = pid == c->pid ? exitcode_of(status) : UNKNOWN;
  c->reaped = true;
  pthread_mutex_unlock(&lock);
}

static void child_thread(void *child) {
  lf_child *c = child;
  lf_thread_silent();
  c->generation = lf_generation;
  uint32_t owner = lf_owner_new();
  lf_hold hold;
  lf_hold_begin(&hold);
  pid_t pid = lf_fork(-1);
  if (pid == 0) {
    lf_owner_be(owner);
    c->pid = getpid();
    c->here = true;
    c->body(c->arg);
    lf_panic(__FILE__, __LINE__, "a forked process went on");
  }
  int err = pid < 0 ? errno : 0;
  lf_hold_since(&hold);
  tell_starter(c, pid, err);
  if (pid > 0)
    reap(c);
  lf_array_reap(NULL, owner);
  lf_hold_end(&hold);
  if (pid > 0)
    lf_task_end(c->over, LF_FINISHED);
  lf_child_unref(c);
}

int lf_child_start(lf_child *c, const char *name, void (*body)(void *arg),
                   void *arg) {
  c->body = body;
  c->arg = arg;
  lf_fork_want_ends();
  lf_child_ref(c);
  int err = lf_thread_start(name, child_thread, c);
  if (err) {
    lf_child_unref(c);
    return err;
  }
  while (!atomic_load(&c->forked))
    lf_doze(&c->starter, LF_FOREVER);
  errno = c->err;
  return c->pid > 0 ? 0 : LF_EFORK;
}

/* --- Looking, and signals --- */

lf_task *lf_child_over(lf_child *c) {
  return c->over;
}

pid_t lf_child_pid(const lf_child *c) {
  return c->pid;
}

int lf_child_exitcode(lf_child *c) {
  return c->exitcode;
}

bool lf_child_is_here(const lf_child *c) {
  return c->here && c->pid == getpid();
}

bool lf_child_is_foreign(const lf_child *c) {
  return lf_is_foreign(c->generation);
}

void lf_child_signal(lf_child *c, int sig) {
  pthread_mutex_lock(&lock);
  if (!c->reaped)
    kill(c->pid, sig);
  pthread_mutex_unlock(&lock);
}

lf_child *lf_child_running(const void *program, bool daemon, size_t i) {
  lf_child *found = NULL;
  pthread_mutex_lock(&lock);
  for (lf_link *l = started.next; l != &started && !found; l = l->next) {
    lf_child *c = lf_container_of(l, lf_child, link);
    if (!c->reaped && c->program == program && c->daemon == daemon && i-- == 0)
      found = lf_child_ref(c);
  }
  pthread_mutex_unlock(&lock);
  return found;
}
