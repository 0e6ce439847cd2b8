/* SPDX-License-Identifier: MIT
 *
 * See deadline.h. */
#include "runtime/base/deadline.h"

/* Of two heaps, neither of which is a part of another, one. */
static lf_deadline *merge(lf_deadline *a, lf_deadline *b) {
  if (b->at < a->at) {
    lf_deadline *later = a;
    a = b;
    b = later;
  }
  b->next = a->child;
  if (b->next)
    b->next->before = b;
  b->before = a;
  a->child = b;
  a->next = NULL;
  return a;
}

/* Of siblings, one heap: neighbours first, from left to right, then those, from
 * right to left. */
static lf_deadline *merge_all(lf_deadline *siblings) {
  lf_deadline *pairs = NULL, *all = NULL; /* pairs: the last one first */
  while (siblings) {
    lf_deadline *one = siblings, *other = one->next;
    siblings = other ? other->next : NULL;
    if (other)
      one = merge(one, other);
    one->next = pairs;
    pairs = one;
  }
  while (pairs) {
    lf_deadline *one = pairs;
    pairs = one->next;
    one->next = NULL;
    all = all ? merge(all, one) : one;
  }
  return all;
}

static void set_first(lf_deadlines *heap, lf_deadline *first) {
  heap->first = first;
  if (first)
    first->before = first;
}

void lf_deadline_set(lf_deadlines *heap, lf_deadline *d, int64_t at) {
  *d = (lf_deadline){.at = at};
  set_first(heap, heap->first ? merge(heap->first, d) : d);
}

/* Takes one that is not the first out of its siblings. */
static void cut(lf_deadline *d) {
  if (d->before->child == d)
    d->before->child = d->next;
  else
    d->before->next = d->next;
  if (d->next)
    d->next->before = d->before;
}

void lf_deadline_unset(lf_deadlines *heap, lf_deadline *d) {
  if (!lf_deadline_is_set(d))
    return;
  lf_deadline *rest = merge_all(d->child);
  if (heap->first == d) {
    set_first(heap, rest);
  } else {
    cut(d);
    if (rest)
      set_first(heap, merge(heap->first, rest));
  }
  d->child = d->next = d->before = NULL;
}

lf_deadline *lf_deadline_past(lf_deadlines *heap, int64_t now) {
  lf_deadline *d = heap->first;
  if (!d || d->at > now)
    return NULL;
  lf_deadline_unset(heap, d);
  return d;
}
