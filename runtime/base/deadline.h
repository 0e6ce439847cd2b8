/* SPDX-License-Identifier: MIT
 *
 * What is to happen at moments, the first of them first: a pairing heap
 * (Fredman, Sedgewick, Sleator, Tarjan, 1986), which links what it is given, so
 * that nothing can fail. Putting in takes constant time, taking out
 * logarithmic, on average. Who uses one sees to it that one thread does at a
 * time. */
#ifndef LF_BASE_DEADLINE_H
#define LF_BASE_DEADLINE_H

#include "runtime/base/base.h"

typedef struct lf_deadline {
  int64_t at; /* as of lf_now */
  /* The first that comes after it; its next sibling; the sibling before it, or
   * whose first child it is, or (the heap's first) itself. NULL: it is in no
   * heap. */
  struct lf_deadline *child, *next, *before;
} lf_deadline;

/* {NULL} is empty. */
typedef struct {
  lf_deadline *first;
} lf_deadlines;

static inline bool lf_deadline_is_set(const lf_deadline *deadline) {
  return deadline->before;
}

/* Puts in one that is in none. */
void lf_deadline_set(lf_deadlines *heap, lf_deadline *deadline, int64_t at);

/* Takes it out, if it is in. */
void lf_deadline_unset(lf_deadlines *heap, lf_deadline *deadline);

/* Takes out the first if it is at most 'now'; else NULL. */
lf_deadline *lf_deadline_past(lf_deadlines *heap, int64_t now);

/* When the first of them is, or LF_FOREVER. */
static inline int64_t lf_deadlines_next(const lf_deadlines *heap) {
  return heap->first ? heap->first->at : LF_FOREVER;
}

#endif
