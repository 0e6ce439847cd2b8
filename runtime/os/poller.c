/* SPDX-License-Identifier: MIT
 *
 * See poller.h. A descriptor stays in the epoll set once it has been waited
 * for, disarmed (EPOLLONESHOT), as the next wait for it is likely; one that is
 * closed leaves the set by itself, without a word, which is found out when it
 * is armed again (ENOENT), and now and then. */
#include "runtime/os/poller.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/thread.h"

enum { STACK_BYTES = 128 << 10, CHECK_MS = 1000, EVENTS = 256 };

/* Who waits for a descriptor. */
typedef struct {
  lf_polled *reader, *writer; /* may be the same */
  bool in_set;                /* as far as is known */
} entry;

static entry *entries; /* by descriptor; all of it under the lock */
static size_t nentries;
static size_t waiting;
static int set = -1; /* of epoll */
static bool there;   /* the thread is */

/* All that is the parent's. */
static void begin_anew(void) {
  if (set >= 0)
    close(set);
  set = -1;
  there = false;
  waiting = 0;
  for (size_t i = 0; i < nentries; i++)
    entries[i] = (entry){0};
}

LF_FORK_MUTEX(lock, LF_FORK_POLLER, begin_anew);

/* --- Under the lock --- */

static void take_out(lf_polled *p) {
  entry *e = &entries[p->fd];
  if (e->reader == p)
    e->reader = NULL;
  if (e->writer == p)
    e->writer = NULL;
  p->watched = false;
  waiting--;
}

static void tell(lf_polled *p, bool closed) {
  if (!p)
    return;
  take_out(p);
  atomic_store(&p->closed, closed);
  atomic_store(&p->told, true);
  p->fire(p);
}

/* The descriptor is not what it was. */
static void tell_closed(int fd) {
  entry *e = &entries[fd];
  tell(e->reader, true);
  tell(e->writer, true);
  e->in_set = false;
}

static int control(int op, int fd, uint32_t events) {
  struct epoll_event ev = {.events = events, .data.fd = fd};
  return epoll_ctl(set, op, fd, &ev) == 0 ? 0 : errno;
}

static uint32_t events_of(const entry *e) {
  return (e->reader ? EPOLLIN | EPOLLRDHUP : 0U) | (e->writer ? EPOLLOUT : 0U) |
         EPOLLONESHOT;
}

/* Of one that is in the set: ENOENT, EBADF: it is not any more. */
static int rearm(int fd) {
  return control(EPOLL_CTL_MOD, fd, events_of(&entries[fd]));
}

/* For a new wait, besides which there may be another one. */
static int arm(int fd, lf_polled *new) {
  entry *e = &entries[fd];
  int err = e->in_set ? rearm(fd) : ENOENT;
  if (err != ENOENT)
    return err;
  if (e->reader != new) /* that was for another file */
    tell(e->reader, true);
  if (e->writer != new)
    tell(e->writer, true);
  err = control(EPOLL_CTL_ADD, fd, events_of(e));
  err = err == EEXIST ? rearm(fd) : err;
  e->in_set = err == 0;
  return err;
}

static bool make_room(int fd) {
  if ((size_t)fd < nentries)
    return true;
  size_t n = nentries ? 2 * nentries : 64;
  while (n <= (size_t)fd)
    n *= 2;
  entry *more = lf_realloc(entries, n * sizeof *more);
  if (!more)
    return false;
  memset(more + nentries, 0, (n - nentries) * sizeof *more);
  entries = more;
  nentries = n;
  return true;
}

/* --- The thread --- */

/* Under the lock. */
static void deliver(const struct epoll_event *ev) {
  int fd = ev->data.fd;
  entry *e = &entries[fd];
  uint32_t bad = ev->events & (EPOLLHUP | EPOLLERR);
  if (bad || ev->events & (EPOLLIN | EPOLLRDHUP))
    tell(e->reader, false);
  if (bad || ev->events & EPOLLOUT) /* unless it was the reader, too */
    tell(e->writer, false);
  int err = e->reader || e->writer ? rearm(fd) : 0;
  if (err)
    tell_closed(fd);
}

/* Under the lock: have descriptors been closed that are waited for? */
static void check(void) {
  for (size_t fd = 0; fd < nentries && waiting > 0; fd++)
    if ((entries[fd].reader || entries[fd].writer) && rearm((int)fd) != 0)
      tell_closed((int)fd);
}

/* Under the lock: nobody waits. */
static void leave(void) {
  close(set);
  lf_free(entries);
  set = -1;
  entries = NULL;
  nentries = 0;
  there = false;
}

static void *run(void *unused) {
  struct epoll_event events[EVENTS];
  int64_t next = 0;
  bool busy = false;
  for (bool goes_on = true; goes_on;) {
    if (busy) /* who was told runs first, and more comes meanwhile */
      sched_yield();
    int n = epoll_wait(set, events, EVENTS, CHECK_MS);
    busy = n > 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < n; i++)
      deliver(&events[i]);
    bool idle = n == 0 && waiting == 0;
    if (!idle && lf_now() >= next) {
      check();
      next = lf_now() + CHECK_MS * INT64_C(1000000);
    }
    if (idle)
      leave();
    goes_on = !idle;
    pthread_mutex_unlock(&lock);
  }
  return unused;
}

/* Under the lock. 0, or a number of errno. */
static int start(void) {
  if (there)
    return 0;
  set = epoll_create1(EPOLL_CLOEXEC);
  if (set < 0)
    return errno;
  there = lf_thread_start_apart(run, STACK_BYTES, NULL);
  if (there)
    return 0;
  close(set);
  set = -1;
  return EAGAIN;
}

/* --- */

/* Under the lock. */
static int watch(lf_polled *p) {
  int err = p->fd < 0 ? EBADF : start();
  if (err == 0 && !make_room(p->fd))
    err = ENOMEM;
  if (err)
    return err;
  entry *e = &entries[p->fd];
  bool busy = (p->wanted & LF_READABLE && e->reader) ||
              (p->wanted & LF_WRITABLE && e->writer);
  if (busy && rearm(p->fd) == 0)
    return EBUSY;
  if (busy) /* that was for another file */
    tell_closed(p->fd);
  if (p->wanted & LF_READABLE)
    e->reader = p;
  if (p->wanted & LF_WRITABLE)
    e->writer = p;
  p->watched = true;
  waiting++;
  err = arm(p->fd, p);
  if (err)
    take_out(p);
  return err;
}

int lf_poller_watch(lf_polled *p) {
  pthread_mutex_lock(&lock);
  atomic_store(&p->closed, false);
  atomic_store(&p->told, false);
  p->watched = false;
  int err = watch(p);
  pthread_mutex_unlock(&lock);
  return err;
}

void lf_poller_unwatch(lf_polled *p) {
  pthread_mutex_lock(&lock);
  size_t fd = (size_t)p->fd; /* in a forked process it is the parent's */
  if (p->watched && fd < nentries &&
      (entries[fd].reader == p || entries[fd].writer == p))
    take_out(p);
  pthread_mutex_unlock(&lock);
}

void lf_poller_close(int fd) {
  pthread_mutex_lock(&lock);
  if (fd >= 0 && (size_t)fd < nentries)
    tell_closed(fd);
  pthread_mutex_unlock(&lock);
}

int lf_poll_now(int fd, unsigned wanted) {
  struct pollfd p = {.fd = fd};
  p.events = (short)((wanted & LF_READABLE ? POLLIN | POLLRDHUP : 0) |
                     (wanted & LF_WRITABLE ? POLLOUT : 0));
  while (poll(&p, 1, 0) < 0)
    if (errno != EINTR && errno != EAGAIN)
      return 0; /* the set tells */
  if (p.revents & POLLNVAL || fd < 0)
    return LF_ECLOSED;
  if (p.revents & (POLLHUP | POLLERR))
    return (int)wanted;
  return (p.revents & (POLLIN | POLLRDHUP) ? LF_READABLE : 0) |
         (p.revents & POLLOUT ? LF_WRITABLE : 0);
}

size_t lf_polled_count(void) {
  pthread_mutex_lock(&lock);
  size_t n = waiting;
  pthread_mutex_unlock(&lock);
  return n;
}
