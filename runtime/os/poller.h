/* SPDX-License-Identifier: MIT
 *
 * Descriptors that are waited for: one thread for all of them (epoll(7)), in
 * each process that waits for any; it is gone when nobody has for a while. In a
 * forked process none is waited for. Any thread. */
#ifndef LF_OS_POLLER_H
#define LF_OS_POLLER_H

#include "runtime/base/base.h"

#include <stdatomic.h>

enum { LF_READABLE = 1, LF_WRITABLE = 2 };

/* A wait: of who waits, who unwatches it before it is gone. */
typedef struct lf_polled {
  int fd;
  unsigned wanted; /* LF_READABLE, LF_WRITABLE, or both */
  /* What is ready, maybe only was (who is told looks); or (EBADF) the
   * descriptor has been closed. Once, on any thread, under the poller's lock:
   * it takes no other and does not block. */
  void (*fire)(struct lf_polled *polled);
  void *arg;          /* fire's */
  _Atomic int told;   /* it has been, */
  _Atomic int closed; /* for that */
  int err;            /* what lf_poller_watch has said, for who waits */
  bool watched;       /* the poller's */
} lf_polled;

/* 'fire' will be called. 0, or a number of errno, and it will not: EBUSY,
 * another waits for the same; EPERM, a file of a kind that is always ready;
 * EBADF; EAGAIN, no thread; ENOMEM and what else the system says. */
int lf_poller_watch(lf_polled *polled);

/* Afterwards 'fire' is not running and will not run. Twice is harmless. */
void lf_poller_unwatch(lf_polled *polled);

/* Who waits for it is to be told that the descriptor is about to be closed.
 * (One that is closed without that is noticed within a second.) */
void lf_poller_close(int fd);

/* What is ready of what is wanted, now; a descriptor that has an error or a
 * hang-up is. LF_ECLOSED: it is none. */
int lf_poll_now(int fd, unsigned wanted);

/* How many wait. */
size_t lf_polled_count(void);

#endif
