/* SPDX-License-Identifier: MIT
 *
 * See heap.h. Free extents are in lists by the power of two of their size, as
 * in TLSF (Masmano et al., 2004), and are joined with their neighbours; a run
 * of zones that is one free extent is given back. */
#include "runtime/shm/heap.h"
#include "runtime/base/atfork.h"

#include "runtime/base/mem.h"
#include "runtime/os/fork.h"
#include "runtime/shm/arena.h"

#include <pthread.h>
#include <string.h>

enum {
  BINS = 48,
  PAGE = 4096,
  TRIES = 8, /* extents looked at that may be too small */
};

/* So much dirt in a free extent is given back to the system. */
#define TRIM ((uint64_t)LF_LIMIT(256 << 10, 16 << 10))

LF_FORK_MUTEX(lock, LF_FORK_HEAP, NULL); /* all of these */
static uint32_t generation;
static lf_link bins[BINS];
static uint64_t filled; /* bins that are not empty, as bits */
static uint64_t used;
static bool ready;

/* A zone that is kept when nothing is in it, and its dirt. */
static struct {
  bool there;
  uint64_t at, dirty_from, dirty_to;
} spare;

/* Under the lock: what a parent had is forgotten. */
static void renew(void) {
  if (ready && !lf_is_foreign(generation))
    return;
  for (int i = 0; i < BINS; i++)
    lf_list_init(&bins[i]);
  filled = used = 0;
  spare.there = false;
  generation = lf_generation;
  ready = true;
}

/* --- Free extents --- */

static int bin_of(uint64_t size) {
  return 63 - __builtin_clzll(size / LF_HEAP_ALIGN);
}

static void bin_add(lf_extent *x) {
  int b = bin_of(x->size);
  x->free = true;
  lf_list_add(bins[b].next, &x->link);
  filled |= (uint64_t)1 << b;
}

static void bin_del(lf_extent *x) {
  int b = bin_of(x->size);
  x->free = false;
  lf_list_del(&x->link);
  if (lf_list_empty(&bins[b]))
    filled &= ~((uint64_t)1 << b);
}

/* One that is large enough, taken out, or NULL. */
static lf_extent *find(uint64_t size) {
  int b = bin_of(size), tries = TRIES;
  for (lf_link *l = bins[b].next; l != &bins[b] && tries-- > 0; l = l->next) {
    lf_extent *x = lf_container_of(l, lf_extent, link);
    if (x->size >= size) {
      bin_del(x);
      return x;
    }
  }
  uint64_t larger = filled >> b >> 1 << b << 1;
  if (!larger)
    return NULL;
  lf_link *first = bins[__builtin_ctzll(larger)].next;
  lf_extent *x = lf_container_of(first, lf_extent, link);
  bin_del(x);
  return x;
}

/* --- Runs of zones --- */

static lf_extent *extent_new(uint64_t at, uint64_t size) {
  lf_extent *x = lf_zalloc(sizeof *x);
  if (!x)
    return NULL;
  lf_list_init(&x->link);
  x->at = at;
  x->size = size;
  return x;
}

/* A run of zones of at least that size, as one extent. */
static lf_extent *grow(uint64_t size) {
  uint64_t zone = lf_zone_size(), n = (size + zone - 1) / zone;
  bool from_spare = spare.there && n == 1;
  lf_extent *x = n <= LF_ZONES ? extent_new(spare.at, n * zone) : NULL;
  if (!x)
    return NULL;
  if (from_spare) {
    x->dirty_from = spare.dirty_from;
    x->dirty_to = spare.dirty_to;
    spare.there = false;
    return x;
  }
  int first = lf_zones_claim((uint32_t)n);
  if (first < 0) {
    lf_free(x);
    return NULL;
  }
  x->at = (uint64_t)first * zone;
  return x;
}

/* Zeroes what is dirty in a free extent, by whole pages as far as it goes. */
static void clear(lf_extent *x) {
  uint64_t end = x->at + x->size;
  uint64_t from = x->dirty_from / PAGE * PAGE;
  uint64_t to = (x->dirty_to + PAGE - 1) / PAGE * PAGE;
  from = from < x->at ? x->at : from;
  to = to > end ? end : to;
  lf_arena_clear(from, to - from);
  x->dirty_from = x->dirty_to = 0;
}

/* The extent is all of its run, and free. */
static void give_back(lf_extent *x) {
  uint64_t zone = lf_zone_size();
  if (x->size == zone && !spare.there) {
    spare.there = true;
    spare.at = x->at;
    spare.dirty_from = x->dirty_from;
    spare.dirty_to = x->dirty_to;
  } else {
    lf_arena_clear(x->at, x->size);
    lf_zones_release((uint32_t)(x->at / zone), (uint32_t)(x->size / zone));
  }
  lf_free(x);
}

/* --- Blocks --- */

/* Cuts off what is behind the first 'size' bytes. False: no memory. */
static bool split(lf_extent *x, uint64_t size) {
  if (x->size == size)
    return true;
  lf_extent *rest = extent_new(x->at + size, x->size - size);
  if (!rest)
    return false;
  x->size = size;
  rest->before = x;
  rest->after = x->after;
  x->after = rest;
  if (rest->after)
    rest->after->before = rest;
  if (x->dirty_to > rest->at) {
    rest->dirty_from = x->dirty_from > rest->at ? x->dirty_from : rest->at;
    rest->dirty_to = x->dirty_to;
    x->dirty_to = rest->at;
  }
  bin_add(rest);
  return true;
}

/* Joins the second to the first, its neighbour. */
static lf_extent *join(lf_extent *x, lf_extent *next) {
  if (x->dirty_from >= x->dirty_to) {
    x->dirty_from = next->dirty_from;
    x->dirty_to = next->dirty_to;
  } else if (next->dirty_from < next->dirty_to) {
    x->dirty_to = next->dirty_to;
  }
  x->size += next->size;
  x->after = next->after;
  if (x->after)
    x->after->before = x;
  lf_free(next);
  return x;
}

/* Under the lock: the extent is free; with its neighbours, if they are, too. */
static void put_back(lf_extent *x) {
  if (x->after && x->after->free) {
    bin_del(x->after);
    join(x, x->after);
  }
  if (x->before && x->before->free) {
    bin_del(x->before);
    x = join(x->before, x);
  }
  if (x->dirty_to > x->dirty_from && x->dirty_to - x->dirty_from >= TRIM)
    clear(x);
  if (!x->before && !x->after)
    give_back(x);
  else
    bin_add(x);
}

lf_extent *lf_heap_take(uint64_t size) {
  if (size > lf_arena_size())
    return NULL;
  size = (size + LF_HEAP_ALIGN - 1) / LF_HEAP_ALIGN * LF_HEAP_ALIGN;
  size = size ? size : LF_HEAP_ALIGN;
  pthread_mutex_lock(&lock);
  renew();
  lf_extent *x = find(size);
  x = x ? x : grow(size);
  if (x && !split(x, size)) {
    put_back(x);
    x = NULL;
  }
  used += x ? size : 0;
  pthread_mutex_unlock(&lock);
  if (x && x->dirty_from < x->dirty_to)
    memset(lf_arena_at(x->dirty_from), 0, x->dirty_to - x->dirty_from);
  return x;
}

void lf_heap_give(lf_extent *x) {
  bool large = x->size >= TRIM; /* not under the lock, as it takes its time */
  if (large)
    lf_arena_clear(x->at, x->size);
  x->dirty_from = large ? 0 : x->at;
  x->dirty_to = large ? 0 : x->at + x->size;
  pthread_mutex_lock(&lock);
  renew();
  used -= x->size;
  put_back(x);
  pthread_mutex_unlock(&lock);
}

uint64_t lf_heap_used(void) {
  pthread_mutex_lock(&lock);
  renew();
  uint64_t n = used;
  pthread_mutex_unlock(&lock);
  return n;
}
