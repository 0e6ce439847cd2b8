/* SPDX-License-Identifier: MIT
 *
 * Words that every file uses: error codes, assertions, the intrusive list.
 * Nothing here has state. */
#ifndef LF_BASE_BASE_H
#define LF_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a function of the runtime returns when it is not 0. */
enum {
  LF_ENOMEM = -1,    /* out of memory */
  LF_ETHREAD = -2,   /* the system refuses another thread */
  LF_ESHUTDOWN = -3, /* the pool takes no more tasks */
  LF_EBROKEN = -4,   /* the pool's workers cannot run */
  LF_ETIMEOUT = -5,  /* the deadline has passed */
  LF_EINTR = -6,     /* a signal arrived meanwhile */
  LF_EDEADLOCK = -7, /* waiting would never end */
  LF_EFORK = -8,     /* the system refuses another process */
  LF_EAGAIN = -9,    /* not now: the caller may wait */
  LF_ECLOSED = -10,  /* no more of it, ever */
  LF_EFOREIGN = -11, /* it belongs to another process */
  LF_EPERM = -12,    /* the caller may not */
  LF_EDAMAGED = -13, /* bytes from another process are nonsense */
  LF_ECLUSTER = -14, /* the cluster's server takes no tasks */
};

/* A condition that only a mistake in lfut can break: ends the program. */
#define lf_check(cond) ((cond) ? (void)0 : lf_panic(__FILE__, __LINE__, #cond))

#ifdef LF_DEBUG
#define lf_assert(cond) lf_check(cond)
#else
#define lf_assert(cond) ((void)0)
#endif

/* Debug builds make every limit tiny, so that tests reach it. */
#ifdef LF_DEBUG
#define LF_LIMIT(normal, debug) (debug)
#else
#define LF_LIMIT(normal, debug) (normal)
#endif

/* Points in time are nanoseconds of the monotonic clock (lf_now). */
#define LF_FOREVER INT64_MAX

_Noreturn void lf_panic(const char *file, int line, const char *what);

/* For the few functions of the hot path that must not be calls. */
#define LF_INLINE static inline __attribute__((always_inline))

#define lf_container_of(ptr, type, member)                                     \
  ((type *)((char *)(ptr)-offsetof(type, member)))

/* A circular doubly linked list; a head is a link of its own. */
typedef struct lf_link lf_link;
struct lf_link {
  lf_link *next, *prev;
};

static inline void lf_list_init(lf_link *head) {
  head->next = head->prev = head;
}

static inline bool lf_list_empty(const lf_link *head) {
  return head->next == head;
}

/* Inserts 'item' before 'at'; with a head as 'at', at the list's end. */
static inline void lf_list_add(lf_link *at, lf_link *item) {
  item->prev = at->prev;
  item->next = at;
  at->prev->next = item;
  at->prev = item;
}

/* Takes 'item' out; it is then a list of its own, so twice is harmless. */
static inline void lf_list_del(lf_link *item) {
  item->prev->next = item->next;
  item->next->prev = item->prev;
  lf_list_init(item);
}

/* The first item, taken out, or NULL. */
static inline lf_link *lf_list_pop(lf_link *head) {
  lf_link *item = head->next;
  if (item == head)
    return NULL;
  lf_list_del(item);
  return item;
}

/* Moves all of 'from' to the end of 'to'. */
static inline void lf_list_move(lf_link *to, lf_link *from) {
  if (lf_list_empty(from))
    return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  lf_list_init(from);
}

#endif
