/* SPDX-License-Identifier: MIT
 *
 * See code.h. A hash table with chains under one lock; an object whose count
 * fell to 0 may be found again until its last owner has the lock, so the
 * count is looked at once more there. */
#include "runtime/base/code.h"

#include "runtime/base/atfork.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { BUCKETS = LF_LIMIT(1024, 4) };

LF_FORK_MUTEX(lock, LF_FORK_CODE, NULL);
static lf_code *table[BUCKETS];
static uint64_t last_id;

static lf_code *find(size_t hash, const void *bytes, size_t len) {
  for (lf_code *c = table[hash % BUCKETS]; c; c = c->next)
    if (c->hash == hash && c->len == len && memcmp(c->bytes, bytes, len) == 0)
      return lf_code_ref(c);
  return NULL;
}

static lf_code *insert(size_t hash, const void *bytes, size_t len,
                       const char *label) {
  lf_code *c = lf_zalloc(sizeof *c + len);
  if (!c)
    return NULL;
  atomic_init(&c->refs, 1);
  c->id = ++last_id;
  c->hash = hash;
  c->len = len;
  snprintf(c->label, sizeof c->label, "%s", label);
  memcpy(c->bytes, bytes, len);
  c->next = table[hash % BUCKETS];
  table[hash % BUCKETS] = c;
  return c;
}

lf_code *lf_code_get(const void *bytes, size_t len, const char *label,
                     lf_annotate *annotate) {
  size_t hash = (size_t)lf_hash(bytes, len);
  pthread_mutex_lock(&lock);
  lf_code *c = find(hash, bytes, len);
  if (!c) {
    c = insert(hash, bytes, len, label);
    if (c && annotate)
      c->notes = annotate(bytes, len);
  }
  pthread_mutex_unlock(&lock);
  return c;
}

void lf_code_unref(void *code) {
  lf_code *c = code;
  size_t refs = atomic_load_explicit(&c->refs, memory_order_relaxed);
  while (refs > 1) /* not the last: no lock */
    if (atomic_compare_exchange_weak(&c->refs, &refs, refs - 1))
      return;
  pthread_mutex_lock(&lock);
  bool last = atomic_fetch_sub(&c->refs, 1) == 1;
  if (last) {
    lf_code **at = &table[c->hash % BUCKETS];
    while (*at != c)
      at = &(*at)->next;
    *at = c->next;
  }
  pthread_mutex_unlock(&lock);
  if (!last)
    return;
  lf_free(c->notes);
  lf_free(c);
}
