/* SPDX-License-Identifier: MIT
 *
 * What the tasks of a pool have taken: how often each function was run, for how
 * long, what was copied for that. Its worker threads count for themselves, all
 * others under one lock. It outlives the pool, for those who look when all is
 * over.
 *
 * Counts are exact. Of what takes long all is timed, and all there is if there
 * is a trace; else, as a look at the clock takes its time, too, one task of
 * some: who submits a task decides (lf_task_born). */
#ifndef LF_POOL_PROFILE_H
#define LF_POOL_PROFILE_H

#include "runtime/pool/pool.h"
#include "runtime/trace/meter.h"

typedef struct lf_profile {
  _Atomic size_t refs;
  lf_link link;     /* among all; their lock */
  char *name;       /* the pool's, */
  int number;       /* among those with the same, from 1 on, */
  const char *kind; /* and its back end's; static */
  int max_workers;
  bool nested;      /* a task has made it */
  bool kept, ended; /* the list has a reference; it has ended, and others of its
                       name may be added; the list's lock */
  uint64_t room; /* ns: times of workers in which they could have had something
                    to do, of what has ended; the lock */
  lf_pool *pool; /* not counted; NULL: it has ended; the lock */
  int workers;   /* most there have been, once it has ended; the same */
  uint64_t queued, running; /* that were put last, */
  int traced; /* into which trace (lf_timing); the trace's thread */
  pthread_mutex_t lock;
  lf_tallies tallies; /* the lock */
} lf_profile;

/* Of a pool that is being made (NULL: no memory), and, when it has been, as
 * others see it. */
lf_profile *lf_profile_new(lf_pool *pool);
void lf_profile_open(lf_profile *profile, lf_pool *pool);
lf_profile *lf_profile_ref(lf_profile *profile);
void lf_profile_unref(void *profile);

/* The pool is about to be freed. If what has ended is kept, those of a name
 * that tasks have made are one. */
void lf_profile_end(lf_profile *profile);

/* The profile of the pool. */
lf_profile *lf_pool_profile(const lf_pool *pool);

/* As the functions of tally.h; any thread. */
void lf_profile_chunk(lf_profile *profile, lf_code *code, uint64_t items,
                      uint64_t failures, const lf_times *times);
void lf_profile_lost(lf_profile *profile, lf_code *code); /* with its worker */
void lf_profile_packed(lf_profile *profile, lf_code *code, int64_t ns);
void lf_profile_unpacked(lf_profile *profile, lf_code *code, int64_t ns);

/* Before a run of the task: empty times, and what its worker's thread is to put
 * on its meter. True: it is to do so, also because of what runs below. */
bool lf_profile_begin(const lf_task *task, lf_times *times,
                      lf_metered *metered);

/* Visits all counts, some functions more than once. '*workers': how many
 * workers there are, or were. */
typedef void lf_tally_visit(const lf_tally *tally, void *arg);
void lf_profile_each(lf_profile *profile, lf_tally_visit *visit, void *arg,
                     int *workers);

/* When the first run has begun, when the last one has ended, as far as was
 * timed. False: none. */
bool lf_profile_window(lf_profile *profile, int64_t *first, int64_t *last);

/* Seconds of workers in which they could have had something to do. */
double lf_profile_room(lf_profile *profile);

/* All there are, in the order in which they were made: the one after that, with
 * a reference for the one that is given back; NULL: the first, none. Those of
 * pools that have ended are kept from then on. */
void lf_profiles_keep(void);
lf_profile *lf_profiles_next(lf_profile *profile);

/* In a worker process, at its end: each of those kept here is sent; and in its
 * program: one of these, as if a task here had made it. */
void lf_profiles_hand_over(void (*send)(const lf_buf *bytes));
void lf_profile_feed(const void *bytes, size_t n);

#endif
