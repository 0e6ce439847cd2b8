/* SPDX-License-Identifier: MIT
 *
 * What a worker process and its program share: a piece of memory with a ring of
 * bytes in each direction, each with one producer and one consumer, and a few
 * words. No lock is in it: a process that dies leaves the other one able to go
 * on, and what it had not published does not exist.
 *
 * Positions count all bytes ever written or read (Lamport's queue, 1983). */
#ifndef LF_PROCESS_RING_H
#define LF_PROCESS_RING_H

#include "runtime/os/thread.h"
#include "runtime/pool/sight.h"
#include "runtime/trace/trace.h"

enum {
  LF_RING_SIZE = LF_LIMIT(256 << 10, 4 << 10), /* bytes, a power of 2 */
  LF_SLOTS = LF_LIMIT(128, 4),                 /* tasks sent and not begun */
};

/* One direction. */
typedef struct {
  _Atomic uint64_t written; /* by the producer */
  char pad1[56];
  _Atomic uint64_t read; /* by the consumer */
  _Atomic uint32_t want; /* the producer waits for room */
  char pad2[52];
  unsigned char bytes[LF_RING_SIZE];
} lf_ring;

/* A task that has been sent and not begun belongs to whoever moves its slot
 * on: the worker, who begins it, or the program, who takes it back. The slot's
 * word is 4 * the number of times that it was used, plus one of these. */
typedef enum {
  LF_SLOT_FREE,  /* never used */
  LF_SLOT_SENT,  /* by the program */
  LF_SLOT_BEGUN, /* by the worker */
  LF_SLOT_BACK,  /* taken back, by the program */
} lf_slot;

typedef struct {
  lf_parker parker;        /* the worker sleeps on it */
  _Atomic uint32_t armed;  /* the program wants to be told of news */
  _Atomic uint32_t busy;   /* the worker runs something */
  _Atomic uint32_t closed; /* the pool takes no more tasks */
  _Atomic uint32_t awake;  /* threads and processes awake, by the program */
  _Atomic uint64_t begun;  /* tasks begun or found taken back, by the worker */
  _Atomic uint64_t ended; /* of these; before what has become of them is sent */
  _Atomic uint64_t task_ns; /* what a task takes, smoothed, by the worker */
  uint32_t owner; /* of the worker's zones (arena.h), or 0; since it was made */
  _Atomic int full;         /* as many tasks run or wait as can run, by the
                               program; else 0 */
  _Atomic uint64_t running; /* the task whose code runs, by the worker; or 0 */
  _Atomic uint64_t asked;   /* the last one that was asked to stop while it ran,
                               by the program; or 0 */
  _Atomic int timing;       /* lf_timing of the program */
  _Atomic uint32_t asks;    /* times that one was asked to stop, by the program
                               before it looks what runs */
  _Atomic uint32_t interrupt; /* a signal means lf_pool_interrupt; by the
                                 program */
  _Atomic uint64_t given_up; /* the task for which the worker ends itself, or 0;
                                and what it was asked to stop for */
  _Atomic uint32_t given_up_for;
  _Atomic uint32_t answers; /* it has its handler of SIGUSR1, by the worker */
  char pad[20];
  char crash[96]; /* the C function in which the worker has crashed, by its
                     signal handler; read when it has ended */
  _Atomic uint32_t slots[LF_SLOTS];
  lf_ring in, out; /* as the worker sees it */
  lf_trace_desk desk;
  lf_sight sight; /* what the worker says that it is at, when it is asked */
} lf_region;

/* A new region; '*fd' is how another process maps it. NULL with errno. */
lf_region *lf_region_new(int *fd);
lf_region *lf_region_map(int fd);
void lf_region_unmap(lf_region *region);

/* Bytes that can be written, or read, now. */
size_t lf_ring_room(const lf_ring *ring);
size_t lf_ring_filled(const lf_ring *ring);

/* The producer: puts 'n' bytes, for which there is room, at 'at' bytes behind
 * what is published; then publishes 'n' bytes. */
void lf_ring_put(lf_ring *ring, size_t at, const void *bytes, size_t n);
void lf_ring_publish(lf_ring *ring, size_t n);

/* The consumer: takes 'n' bytes, which are there. */
void lf_ring_take(lf_ring *ring, void *bytes, size_t n);

#endif
