/* SPDX-License-Identifier: MIT
 *
 * The clocks of members, as far as they can be told from what has happened:
 * what a member has begun was submitted before, what it has ended is received
 * after. Each task narrows down by how much its clock differs (after Cristian,
 * 1989). For traces. */
#ifndef LF_CLUSTER_CLOCKS_H
#define LF_CLUSTER_CLOCKS_H

#include "runtime/base/table.h"

#include <sys/types.h>

typedef struct {
  lf_link link;
  int64_t least, most; /* to be added to its moments, to have ours; */
  int64_t offset;      /* what is taken of that */
  lf_table ends;       /* worker -> when its last run has ended here */
  lf_table named;      /* workers that the trace has names of, */
  int session;         /* and which trace that is */
  pid_t number;        /* the member's, beyond those of processes */
  pid_t pid;           /* there */
  char host[64];
} lf_far_clock;

/* The member's among these, a new one if need be; NULL: no memory. */
lf_far_clock *lf_clock_of(lf_link *clocks, const char *host, pid_t pid);
void lf_clocks_free(lf_link *clocks);

/* A task was submitted and its result received at our moments, its run has
 * begun and ended at theirs. Returns what is to be added to these: the same as
 * before, as long as that can be. */
int64_t lf_clock_note(lf_far_clock *clock, int64_t submitted, int64_t begun,
                      int64_t ended, int64_t received);

/* The worker has run something from then on (ours), for so long. Returns when
 * it was: not before the end of what it has run before. */
int64_t lf_clock_place(lf_far_clock *clock, pid_t worker, int64_t at,
                       int64_t ns);

/* Is the worker's name (0: the member's) to be told to the trace? Once each. */
bool lf_clock_names(lf_far_clock *clock, int session, pid_t worker);

#endif
