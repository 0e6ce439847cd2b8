/* SPDX-License-Identifier: MIT
 *
 * See table.h. */
#include "runtime/base/table.h"

#include "runtime/base/mem.h"

/* Where its search begins. */
static size_t home_of(const lf_table *t, uint64_t id) {
  return (size_t)(id * 0x9e3779b97f4a7c15u >> 32) & (t->cap - 1);
}

/* Its place, or the free one where it would be. */
static lf_entry *place_of(const lf_table *t, uint64_t id) {
  size_t i = home_of(t, id);
  while (t->entries[i].id && t->entries[i].id != id)
    i = (i + 1) & (t->cap - 1);
  return &t->entries[i];
}

lf_entry *lf_table_find(const lf_table *t, uint64_t id) {
  lf_entry *e = t->cap ? place_of(t, id) : NULL;
  return e && e->id ? e : NULL;
}

static int grow(lf_table *t) {
  lf_table more = {.n = t->n, .cap = t->cap ? 2 * t->cap : 16};
  more.entries = lf_zalloc(more.cap * sizeof *more.entries);
  if (!more.entries)
    return LF_ENOMEM;
  for (size_t i = 0; i < t->cap; i++)
    if (t->entries[i].id)
      *place_of(&more, t->entries[i].id) = t->entries[i];
  lf_free(t->entries);
  *t = more;
  return 0;
}

int lf_table_add(lf_table *t, uint64_t id, void *value) {
  if (2 * (t->n + 1) > t->cap && grow(t) != 0)
    return LF_ENOMEM;
  *place_of(t, id) = (lf_entry){id, value};
  t->n++;
  return 0;
}

void lf_table_del(lf_table *t, uint64_t id) {
  lf_entry *e = lf_table_find(t, id);
  if (!e)
    return;
  size_t hole = (size_t)(e - t->entries), mask = t->cap - 1;
  for (size_t i = (hole + 1) & mask; t->entries[i].id; i = (i + 1) & mask) {
    size_t home = home_of(t, t->entries[i].id);
    if (((i - home) & mask) < ((i - hole) & mask))
      continue; /* it is not beyond the hole */
    t->entries[hole] = t->entries[i];
    hole = i;
  }
  t->entries[hole] = (lf_entry){0, NULL};
  t->n--;
}

void lf_table_fini(lf_table *t) {
  lf_free(t->entries);
  *t = (lf_table){0};
}
