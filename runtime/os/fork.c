/* SPDX-License-Identifier: MIT
 *
 * See fork.h. */
#include "runtime/os/fork.h"
#include "runtime/base/atfork.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint32_t lf_generation;

/* However the process has been forked. */
static void in_any_child(void) {
  lf_generation++;
  lf_threads_forked();
}

/* The next three. */
LF_FORK_MUTEX(lock, LF_FORK_DESCRIPTORS, in_any_child);
typedef struct {
  int fd;
  bool stays; /* its number, in children */
} own_fd;
static own_fd *fds;
static size_t nfds, fds_cap;

static bool clean = true;
static pid_t origin; /* who has forked this process */

/* --- Descriptors --- */

/* With the lock. */
static void note(int fd, bool stays) {
  if (nfds == fds_cap) {
    size_t cap = fds_cap ? 2 * fds_cap : 16;
    own_fd *more = realloc(fds, cap * sizeof *fds);
    if (more) {
      fds = more;
      fds_cap = cap;
    }
  }
  if (nfds < fds_cap) /* else a child keeps it */
    fds[nfds++] = (own_fd){fd, stays};
}

/* With the lock. Those that come last go first, mostly. */
static void forget(int fd) {
  for (size_t i = nfds; i-- > 0;)
    if (fds[i].fd == fd) {
      fds[i] = fds[--nfds];
      return;
    }
}

void lf_fd_own(int fd) {
  fcntl(fd, F_SETFD, FD_CLOEXEC); /* who sent it cannot say that */
  pthread_mutex_lock(&lock);
  note(fd, false);
  pthread_mutex_unlock(&lock);
}

void lf_fd_close(int fd) {
  if (fd < 0)
    return;
  pthread_mutex_lock(&lock);
  forget(fd);
  close(fd);
  pthread_mutex_unlock(&lock);
}

int lf_fd_move_up(int fd) {
  if (fd < 0 || fd > STDERR_FILENO)
    return fd;
  int above = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  int err = errno;
  close(fd);
  errno = err;
  return above;
}

static int open_pipe(int ends[2]) {
  if (pipe2(ends, O_CLOEXEC) != 0)
    return errno;
  int err = 0;
  for (int i = 0; i < 2; i++) {
    ends[i] = lf_fd_move_up(ends[i]);
    err = ends[i] < 0 ? errno : err;
  }
  for (int i = 0; err && i < 2; i++)
    if (ends[i] >= 0)
      close(ends[i]);
  return err;
}

int lf_pipe_open(int ends[2]) {
  pthread_mutex_lock(&lock); /* no child has it without knowing */
  int err = open_pipe(ends);
  for (int i = 0; !err && i < 2; i++)
    note(ends[i], true);
  pthread_mutex_unlock(&lock);
  return err;
}

int lf_pipe_duplicate(int fd) {
  pthread_mutex_lock(&lock);
  int other = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (other >= 0)
    note(other, true);
  pthread_mutex_unlock(&lock);
  return other;
}

/* One that can neither be read nor written, with the number of another. */
static bool replace(int fd) {
  int nothing = open("/dev/null", O_PATH | O_CLOEXEC);
  bool done = nothing >= 0 && dup3(nothing, fd, O_CLOEXEC) >= 0;
  if (nothing >= 0)
    close(nothing);
  return done;
}

/* fclose may wait for a lock of the C library, which another thread holds. */
void lf_pipe_close_stream(FILE *stream) {
  fflush(stream);
  pthread_mutex_lock(&lock);
  forget(fileno(stream));
  (void)replace(fileno(stream)); /* else fclose closes it, a little later */
  pthread_mutex_unlock(&lock);
  fclose(stream);
}

static void close_others(int keep) {
  size_t kept = 0;
  for (size_t i = 0; i < nfds; i++) {
    if (fds[i].fd == keep)
      fds[kept++] = fds[i];
    else if (!fds[i].stays || !replace(fds[i].fd))
      close(fds[i].fd);
  }
  nfds = kept;
}

/* --- Output --- */

/* Another thread may hold the stream for as long as it waits for input. */
static bool flush(FILE *stream) {
  for (int tries = 0; tries < 100; tries++) {
    struct timespec pause = {.tv_nsec = 100000};
    if (ftrylockfile(stream) == 0) {
      fflush(stream);
      funlockfile(stream);
      return true;
    }
    nanosleep(&pause, NULL);
  }
  return false;
}

bool lf_flush_output(void) {
  if (!lf_threads_others())
    return fflush(NULL) == 0;
  flush(stdout);
  flush(stderr);
  return false;
}

static atomic_bool were_free;

/* To open a stream, and to close it, takes the lock on all of them. */
static void try_streams(void *arg) {
  (void)arg;
  FILE *f = fopen("/dev/null", "re");
  if (f)
    fclose(f);
  atomic_store(&were_free, true);
}

bool lf_streams_are_free(void) {
  struct timespec moment = {.tv_nsec = 100000};
  if (!lf_threads_others() || lf_thread_start("lfut_exit", try_streams, NULL))
    return true;
  int64_t end = lf_after(2);
  while (!atomic_load(&were_free) && lf_now() < end)
    nanosleep(&moment, NULL);
  return atomic_load(&were_free);
}

/* --- Forking --- */

static void nothing(int sig) {
  (void)sig;
}

void lf_fork_leave_interrupts(void) {
  struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

static void in_child(pid_t parent, int keep) {
  sigset_t none;
  origin = parent;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) /* it has died already */
    _exit(EXIT_FAILURE);
  lf_fork_leave_interrupts();
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  close_others(keep);
}

pid_t lf_fork(int keep) {
  pid_t parent = getpid();
  bool flushed = lf_flush_output();
  errno = ENOMEM;
  pid_t pid = lf_mem_refuse() ? -1 : fork();
  if (pid == 0) {
    clean = clean && flushed;
    in_child(parent, keep);
  }
  return pid;
}

pid_t lf_fork_sibling(int keep) {
  pid_t parent = origin; /* not getppid(), which is another once it has died */
  errno = ENOMEM;
  pid_t pid =
      lf_mem_refuse()
          ? -1
          : (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) { /* no handlers have run: there are no locks to care for */
    in_any_child();
    in_child(parent, keep);
  }
  return pid;
}

void lf_fork_want_ends(void) {
  struct sigaction action;
  if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
    signal(SIGCHLD, SIG_DFL);
}

bool lf_fork_was_clean(void) {
  return clean;
}

void lf_fork_exit(int status) {
  if (clean && !lf_threads_others()) {
    fflush(NULL);
  } else {
    flush(stdout);
    flush(stderr);
  }
  _exit(status);
}

uint64_t lf_unique(void) {
  uint64_t id = 0;
  if (getrandom(&id, sizeof id, GRND_NONBLOCK) != sizeof id)
    id = (uint64_t)lf_now() ^ ((uint64_t)getpid() << 40);
  return id | 1;
}

const char *lf_signal_name(int sig) {
  static _Thread_local char name[32];
  const char *abbreviation = sigabbrev_np(sig);
  if (abbreviation)
    snprintf(name, sizeof name, "SIG%s", abbreviation);
  else
    snprintf(name, sizeof name, "signal %d", sig);
  return name;
}
