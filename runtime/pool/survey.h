/* SPDX-License-Identifier: MIT
 *
 * What all threads and worker processes of a program are at: each is asked, and
 * has a moment to answer. A program that hangs may hold any lock for good, so
 * none is waited for longer than that. Not on one of the threads that are
 * asked.
 */
#ifndef LF_POOL_SURVEY_H
#define LF_POOL_SURVEY_H

#include "runtime/pool/internal.h"
#include "runtime/pool/sight.h"

/* One of those that are asked. */
typedef struct {
  int id; /* the worker's number in its pool; 0: the script's thread */
  lf_presence presence;
  bool given_up; /* it hangs in a task that has been given up */
  lf_sight_got got;
  lf_sight *sight;     /* with that; else NULL */
  lf_sight_line known; /* what is known without an answer; count 0: nothing */
  size_t parked;       /* tasks, if it has not told of all */
} lf_subject;

typedef struct {
  lf_pool *pool;   /* a reference */
  bool looked;     /* its lock could be had; else the rest is 0 */
  size_t queued;   /* tasks that have not begun */
  size_t held;     /* of those that wait for others, or at strands */
  size_t first, n; /* of the subjects */
} lf_surveyed;

enum { LF_SURVEY_POOLS = LF_LIMIT(64, 3) };

typedef struct {
  uint32_t number;
  int64_t now; /* when it was made */
  bool looked; /* at the registry */
  size_t npools, more;
  lf_surveyed pools[LF_SURVEY_POOLS];
  size_t n, cap;
  lf_subject *subjects; /* the first: the script's thread */
} lf_survey;

/* Asks all; for at most about half a second. 'script': where the script's
 * thread answers; 'number': larger than all before. LF_ENOMEM. */
int lf_survey_make(lf_survey *survey, lf_registry *registry, lf_sight *script,
                   uint32_t number);
void lf_survey_fini(lf_survey *survey);

/* The same where there are no other threads, without asking any: what has been
 * answered there. 'subject' is room for it. Async-signal-safe. */
void lf_survey_alone(lf_survey *survey, lf_subject *subject, lf_sight *script,
                     bool whole);

/* A task, or a line of one, by who has it. */
typedef struct {
  const lf_surveyed *pool;   /* NULL: none; the script's thread */
  const lf_subject *subject; /* NULL: nobody is known to have it */
  const lf_sight_line *line;
} lf_place;

/* That line of that subject's sight. */
lf_place lf_survey_place(const lf_survey *survey, size_t subject,
                         uint32_t line);

/* Who has the task; who has the lock that is held by that name. */
lf_place lf_survey_task(const lf_survey *survey, uint64_t task);
lf_place lf_survey_holder(const lf_survey *survey, uint64_t holder);

#endif
