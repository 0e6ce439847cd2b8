/* SPDX-License-Identifier: MIT
 *
 * What any thread pushes and one takes, the oldest first: a stack pushed by
 * compare-and-swap (R. K. Treiber, 1986) that is taken whole, so that it has no
 * ABA problem, and turned over. */
#ifndef LF_BASE_STACK_H
#define LF_BASE_STACK_H

#include "runtime/base/base.h"

#include <stdatomic.h>

typedef struct lf_node {
  struct lf_node *next; /* pushed before it; once taken, after it */
} lf_node;

typedef struct {
  _Atomic(lf_node *) top; /* any thread: the newest */
  lf_node *taken;         /* who takes: the oldest */
} lf_stack;

/* Empties it: by who takes, as all that follows but lf_stack_push. */
static inline void lf_stack_init(lf_stack *stack) {
  atomic_store(&stack->top, NULL);
  stack->taken = NULL;
}

static inline void lf_stack_push(lf_stack *stack, lf_node *node) {
  lf_node *top = atomic_load_explicit(&stack->top, memory_order_relaxed);
  do
    node->next = top;
  while (!atomic_compare_exchange_weak(&stack->top, &top, node));
}

/* A hint, for any thread: has something been pushed that is not taken yet? */
static inline bool lf_stack_has_new(const lf_stack *stack, memory_order order) {
  return atomic_load_explicit(&stack->top, order) != NULL;
}

static inline bool lf_stack_is_empty(const lf_stack *stack) {
  return !stack->taken && !lf_stack_has_new(stack, memory_order_seq_cst);
}

/* The oldest, or NULL. */
static inline lf_node *lf_stack_take(lf_stack *stack) {
  if (!stack->taken && lf_stack_has_new(stack, memory_order_relaxed)) {
    lf_node *node = atomic_exchange(&stack->top, NULL);
    while (node) {
      lf_node *next = node->next;
      node->next = stack->taken;
      stack->taken = node;
      node = next;
    }
  }
  lf_node *oldest = stack->taken;
  if (oldest)
    stack->taken = oldest->next;
  return oldest;
}

#endif
