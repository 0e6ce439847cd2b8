/* SPDX-License-Identifier: MIT
 *
 * See spool.h. Bytes that are taken are given back when there are no others. */
#include "runtime/trace/spool.h"

#include "runtime/base/atfork.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
  lf_trace_from from;
  uint32_t n; /* events that follow */
} head;

static void forget(void);
LF_FORK_MUTEX(lock, LF_FORK_TRACE_SPOOL, forget);
static struct {
  int fd;
  off_t put, taken; /* bytes; the second: who takes */
} spool = {.fd = -1};

/* In a forked child: it is its parent's. */
static void forget(void) {
  if (spool.fd >= 0)
    close(spool.fd);
  spool.fd = -1;
}

static int open_file(const char *path) {
  char directory[4096];
  snprintf(directory, sizeof directory, "%s", path);
  char *slash = strrchr(directory, '/');
  if (slash)
    slash[slash == directory] = '\0';
  return open(slash ? directory : ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

void lf_spool_open(const char *path) {
  int fd = path ? open_file(path) : -1;
  fd = fd >= 0 ? fd : memfd_create("lfut trace", MFD_CLOEXEC);
  pthread_mutex_lock(&lock);
  spool.fd = fd;
  spool.put = spool.taken = 0;
  pthread_mutex_unlock(&lock);
}

void lf_spool_close(void) {
  pthread_mutex_lock(&lock);
  forget();
  pthread_mutex_unlock(&lock);
}

void lf_spool_hold_back(sigset_t *old) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &set, old);
}

void lf_spool_let_through(const sigset_t *old) {
  static const struct timespec at_once;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  if (!sigismember(old, SIGXFSZ))
    (void)sigtimedwait(&set, NULL, &at_once);
  pthread_sigmask(SIG_SETMASK, old, NULL);
}

static bool write_at(int fd, const void *bytes, size_t n, off_t at) {
  const char *p = bytes;
  while (n > 0) {
    ssize_t r = pwrite(fd, p, n, at);
    if (r <= 0)
      return false;
    p += r;
    n -= (size_t)r;
    at += r;
  }
  return true;
}

bool lf_spool_put(const lf_trace_from *from, const void *events, size_t n) {
  head h = {*from, (uint32_t)n};
  size_t size = n * sizeof(lf_event);
  sigset_t old;
  lf_spool_hold_back(&old);
  pthread_mutex_lock(&lock);
  bool ok = spool.fd >= 0 && write_at(spool.fd, &h, sizeof h, spool.put) &&
            write_at(spool.fd, events, size, spool.put + (off_t)sizeof h);
  if (ok)
    spool.put += (off_t)(sizeof h + size);
  pthread_mutex_unlock(&lock);
  lf_spool_let_through(&old);
  return ok;
}

bool lf_spool_take(lf_trace_from *from, lf_event *events, size_t *n) {
  head h = {0};
  pthread_mutex_lock(&lock);
  off_t at = spool.taken;
  bool any = at < spool.put;
  if (!any && at > 0) { /* its room can be used again */
    spool.put = spool.taken = 0;
    (void)!ftruncate(spool.fd, 0);
  }
  pthread_mutex_unlock(&lock);
  if (!any || pread(spool.fd, &h, sizeof h, at) != sizeof h)
    return false;
  size_t most = h.n < LF_PIECE_MOST ? h.n : LF_PIECE_MOST;
  at += (off_t)sizeof h;
  ssize_t r = pread(spool.fd, events, most * sizeof *events, at);
  *from = h.from;
  *n = r > 0 ? (size_t)r / sizeof *events : 0;
  spool.taken = at + (off_t)(h.n * sizeof *events);
  return true;
}
