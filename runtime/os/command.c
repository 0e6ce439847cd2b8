/* SPDX-License-Identifier: MIT
 *
 * See command.h. */
#include "runtime/os/command.h"
#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/os/clock.h"
#include "runtime/os/fork.h"
#include "runtime/os/thread.h"
#include "runtime/os/timer.h"

/* --- Those that run --- */

static lf_link running = {&running, &running};

/* They are the parent's. */
static void be_forked(void) {
  lf_list_init(&running);
}

LF_FORK_MUTEX(lock, LF_FORK_COMMANDS, be_forked);

/* --- Starting --- */

/* No signal is blocked, and Ctrl-C has its effect, which process workers
 * ignore. */
static void set_signals(posix_spawnattr_t *attr) {
  sigset_t none, normal;
  sigemptyset(&none);
  sigemptyset(&normal);
  sigaddset(&normal, SIGINT);
  posix_spawnattr_setsigmask(attr, &none);
  posix_spawnattr_setsigdefault(attr, &normal);
  posix_spawnattr_setflags(attr,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

static int spawn(pid_t *pid, const lf_command_line *line) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attr;
  int err = 0;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attr);
  set_signals(&attr);
  for (int i = 0; i < 3 && err == 0; i++)
    if (line->fds[i] >= 0)
      err = posix_spawn_file_actions_adddup2(&actions, line->fds[i], i);
  if (err == 0 && line->folder)
    err = posix_spawn_file_actions_addchdir_np(&actions, line->folder);
  if (err == 0)
    err = posix_spawnp(pid, line->file, &actions, &attr, line->argv,
                       line->envp ? line->envp : environ);
  posix_spawnattr_destroy(&attr);
  posix_spawn_file_actions_destroy(&actions);
  return err;
}

int lf_command_run(lf_command *c, const lf_command_line *line, bool of_task) {
  *c = (lf_command){
      .generation = lf_generation, .of_task = of_task, .pidfd = -1};
  lf_list_init(&c->link);
  lf_fork_want_ends();
  int err = spawn(&c->pid, line);
  if (err)
    return err;
  pthread_mutex_lock(&lock);
  lf_list_add(&running, &c->link);
  pthread_mutex_unlock(&lock);
  return 0;
}

int lf_command_start(lf_command *c, const char *text, int fd, int as,
                     bool of_task) {
  char *argv[] = {(char *)"sh", (char *)"-c", (char *)"--", (char *)text, NULL};
  lf_command_line line = {.file = "/bin/sh", .argv = argv, .fds = {-1, -1, -1}};
  if (fd >= 0)
    line.fds[as] = fd;
  return lf_command_run(c, &line, of_task && as != 0);
}

/* --- Waiting --- */

static void open_pidfd(lf_command *c) {
  if (c->pidfd < 0)
    c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
}

int lf_command_pidfd(lf_command *c) {
  open_pidfd(c);
  return c->pidfd;
}

enum { BLIND_NS = 5000000 }; /* between two looks */

/* For when there are no descriptors left. */
static bool has_ended(const lf_command *c) {
  siginfo_t info = {.si_pid = 0};
  int flags = WEXITED | WNOHANG | WNOWAIT;
  return waitid(P_PID, (id_t)c->pid, &info, flags) != 0 || info.si_pid != 0;
}

static int wait_blindly(const lf_command *c, int64_t deadline) {
  const struct timespec moment = {.tv_nsec = BLIND_NS};
  while (!has_ended(c)) {
    if (lf_is_past(deadline))
      return LF_ETIMEOUT;
    if (nanosleep(&moment, NULL) != 0)
      return LF_EINTR;
  }
  return 0;
}

bool lf_command_poll(lf_command *c, struct pollfd *fds, int n,
                     int64_t deadline) {
  open_pidfd(c);
  struct timespec ts = lf_timespec(deadline - lf_now());
  fds[n] = (struct pollfd){.fd = c->pidfd, .events = POLLIN};
  if (ppoll(fds, (nfds_t)n + 1, &ts, NULL) < 0)
    for (int i = 0; i <= n; i++)
      fds[i].revents = 0;
  return fds[n].revents || (c->pidfd < 0 && has_ended(c));
}

int lf_command_wait(lf_command *c, int64_t deadline) {
  if (lf_is_foreign(c->generation))
    return 0;
  open_pidfd(c);
  if (c->pidfd < 0)
    return wait_blindly(c, deadline);
  struct pollfd p = {.fd = c->pidfd, .events = POLLIN};
  struct timespec ts = lf_timespec(deadline - lf_now());
  int r = ppoll(&p, 1, deadline == LF_FOREVER ? NULL : &ts, NULL);
  return r > 0 ? 0 : r == 0 ? LF_ETIMEOUT : LF_EINTR;
}

/* --- Those that nobody waits for --- */

/* One that has been left: is waited for by the timers' thread. */
typedef struct {
  lf_command command;
  lf_timer timer;
  int64_t kill_at, delay;
} left;

/* One that is to be killed is looked at often. */
static int64_t next_look(left *l) {
  enum { SLOWLY_NS = 1000000000 };
  return l->kill_at == LF_FOREVER ? lf_now() + SLOWLY_NS
                                  : lf_remind_at(&l->delay);
}

static void look_at_left(lf_timer *timer) {
  left *l = lf_container_of(timer, left, timer);
  pid_t pid = l->command.pid;
  if (lf_now() >= l->kill_at)
    lf_command_signal(&l->command, SIGKILL);
  pthread_mutex_lock(&lock); /* nobody signals a number that is free again */
  bool runs = waitpid(pid, NULL, WNOHANG) == 0;
  bool again = runs && lf_timer_set(timer, next_look(l)) == 0;
  if (!again) /* or a zombie, at last */
    lf_list_del(&l->command.link);
  pthread_mutex_unlock(&lock);
  if (!again)
    lf_free(l);
}

/* The link may have neighbours. */
static void replace(lf_command *by, const lf_command *c) {
  pthread_mutex_lock(&lock);
  *by = *c;
  lf_list_add(&running, &by->link);
  lf_list_del((lf_link *)(uintptr_t)&c->link);
  pthread_mutex_unlock(&lock);
}

static void forget(lf_command *c) {
  pthread_mutex_lock(&lock);
  lf_list_del(&c->link);
  pthread_mutex_unlock(&lock);
}

void lf_command_leave(lf_command *c, int64_t patience) {
  left *l = lf_is_foreign(c->generation) ? NULL : lf_zalloc(sizeof *l);
  if (c->pidfd >= 0)
    close(c->pidfd);
  c->pidfd = -1;
  if (!l) { /* a zombie, until the program has ended */
    forget(c);
    return;
  }
  l->kill_at = patience == LF_FOREVER ? LF_FOREVER : lf_now() + patience;
  lf_timer_init(&l->timer, look_at_left);
  lf_list_init(&l->command.link);
  replace(&l->command, c);
  look_at_left(&l->timer);
}

int lf_command_end(lf_command *c) {
  int status = 0, r;
  if (lf_is_foreign(c->generation)) {
    errno = ECHILD;
    return -1;
  }
  pthread_mutex_lock(&lock); /* nobody signals a number that is free again */
  do
    r = waitpid(c->pid, &status, 0);
  while (r < 0 && errno == EINTR);
  lf_list_del(&c->link);
  pthread_mutex_unlock(&lock);
  int err = errno;
  if (c->pidfd >= 0)
    close(c->pidfd);
  errno = err;
  return r < 0 ? -1 : status;
}

/* --- Signals --- */

enum { DEPTH = 16 }; /* of processes started by processes */

static void signal_tree(pid_t pid, int sig, int depth);

/* Those whose numbers the file has. */
static void signal_each(int fd, int sig, int depth) {
  char bytes[512];
  ssize_t n;
  pid_t child = 0;
  while ((n = read(fd, bytes, sizeof bytes)) > 0)
    for (ssize_t i = 0; i < n; i++) {
      if (bytes[i] >= '0' && bytes[i] <= '9') {
        child = child * 10 + (bytes[i] - '0');
        continue;
      }
      if (child)
        signal_tree(child, sig, depth);
      child = 0;
    }
  if (child)
    signal_tree(child, sig, depth);
}

/* The process and its children, who may not pass on what they get. (No stream
 * is used: at the program's end somebody may hold the lock of them all.) */
static void signal_tree(pid_t pid, int sig, int depth) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
  int fd = depth < DEPTH ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    signal_each(fd, sig, depth + 1);
    close(fd);
  }
  kill(pid, sig);
}

void lf_command_signal(lf_command *c, int sig) {
  if (lf_is_foreign(c->generation))
    return;
  pthread_mutex_lock(&lock);
  signal_tree(c->pid, sig, 0); /* it is not waited for yet */
  pthread_mutex_unlock(&lock);
}

/* Under the lock. */
static void interrupt(lf_command *c) {
  if (!c->signalled)
    signal_tree(c->pid, SIGINT, 0);
  c->signalled = true;
}

bool lf_command_is_interrupted(lf_command *c) {
  pthread_mutex_lock(&lock);
  bool is = c->signalled;
  pthread_mutex_unlock(&lock);
  return is;
}

void lf_command_interrupt(lf_command *c) {
  if (lf_is_foreign(c->generation))
    return;
  pthread_mutex_lock(&lock);
  interrupt(c);
  pthread_mutex_unlock(&lock);
}

void lf_commands_interrupt(void) {
  pthread_mutex_lock(&lock);
  for (lf_link *l = running.next; l != &running; l = l->next) {
    lf_command *c = lf_container_of(l, lf_command, link);
    if (c->of_task)
      interrupt(c);
  }
  pthread_mutex_unlock(&lock);
}

void lf_commands_interrupt_of(uint64_t owner) {
  pthread_mutex_lock(&lock);
  for (lf_link *l = running.next; l != &running; l = l->next) {
    lf_command *c = lf_container_of(l, lf_command, link);
    if (c->owner == owner)
      interrupt(c);
  }
  pthread_mutex_unlock(&lock);
}

uint64_t lf_command_owner(void) {
  static _Atomic uint64_t last;
  return atomic_fetch_add(&last, 1) + 1;
}

void lf_command_own(lf_command *c, uint64_t owner) {
  pthread_mutex_lock(&lock);
  c->owner = owner;
  pthread_mutex_unlock(&lock);
}
