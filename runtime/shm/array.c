/* SPDX-License-Identifier: MIT
 *
 * See array.h. All roots are found by the offset of their memory. The last
 * reference is given up under the lock, so that nobody finds one that is about
 * to go: it goes into limbo, if it must stay, or is forgotten; then, without
 * the lock, its memory is freed as its state says. */
#include "runtime/shm/array.h"
#include "runtime/base/atfork.h"

#include "runtime/base/mem.h"
#include "runtime/base/table.h"
#include "runtime/os/fork.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/heap.h"
#include "runtime/shm/orphans.h"
#include "runtime/shm/refs.h"
#include "runtime/shm/slab.h"

#include <pthread.h>

enum { LARGE = 64 << 10 }; /* bytes: worth a look at what can go */

LF_FORK_MUTEX(lock, LF_FORK_ARRAYS, NULL); /* the next ones */
static uint32_t generation;
static bool ready;
static lf_table roots; /* offset -> lf_array * */
static lf_link holds, limbo;
static _Atomic uint64_t epochs; /* forks so far */

static atomic_bool kept; /* a hint: something may be in limbo */

/* Under the lock: what has come into limbo, or gone otherwise, since it was
 * swept; and what it had then. */
static size_t unswept, swept;
static uint64_t unswept_bytes, swept_bytes;

static void (*_Atomic finis[LF_TYPES])(void *data);

static const struct {
  const char *name;
  size_t size;
} elements[LF_A_KINDS] = {
    [LF_A_INT8] = {"int8", 1},     [LF_A_UINT8] = {"uint8", 1},
    [LF_A_INT16] = {"int16", 2},   [LF_A_UINT16] = {"uint16", 2},
    [LF_A_INT32] = {"int32", 4},   [LF_A_UINT32] = {"uint32", 4},
    [LF_A_INT64] = {"int64", 8},   [LF_A_UINT64] = {"uint64", 8},
    [LF_A_FLOAT] = {"float", 4},   [LF_A_DOUBLE] = {"double", 8},
    [LF_A_OBJECT] = {"object", 1},
};

size_t lf_element_size(lf_element type) {
  return elements[type].size;
}

const char *lf_element_name(lf_element type) {
  return elements[type].name;
}

/* In a forked process the roots are there, and foreign; the parent's children
 * and dead are not its own. */
static void take_lock(void) {
  pthread_mutex_lock(&lock);
  if (ready && !lf_is_foreign(generation))
    return;
  while (ready && lf_list_pop(&limbo))
    continue;
  lf_list_init(&holds);
  lf_list_init(&limbo);
  if (ready)
    lf_orphans_forget();
  generation = lf_generation;
  ready = true;
}

static void give_lock(void) {
  pthread_mutex_unlock(&lock);
}

/* --- What it is --- */

lf_array_state lf_array_is(const lf_array *a) {
  if (a->base)
    return LF_ARRAY_VIEW;
  return lf_is_foreign(a->generation) ? LF_ARRAY_INHERITED : a->state;
}

/* May it be in the table of references: has another process seen it, or an
 * item? */
static bool is_known(const lf_array *a) {
  return a->named || a->birth < atomic_load(&epochs);
}

/* Is there a forked child that may see it? */
static bool is_held(const lf_array *a, uint64_t until) {
  for (lf_link *l = holds.next; l != &holds; l = l->next) {
    lf_hold *h = lf_container_of(l, lf_hold, link);
    if (h->epoch > a->birth && h->epoch <= until)
      return true;
  }
  return false;
}

/* --- Making --- */

static lf_array *object_new(lf_element type, size_t length) {
  lf_array *a = lf_zalloc(sizeof *a);
  if (!a)
    return NULL;
  atomic_init(&a->refs, 1);
  a->type = type;
  a->length = length;
  a->bytes = length * lf_element_size(type);
  a->generation = lf_generation;
  a->birth = atomic_load(&epochs);
  lf_list_init(&a->limbo);
  lf_list_init(&a->taken);
  return a;
}

/* Under the lock: a root of which the memory is known. */
static int add_root(lf_array *a, uint64_t at) {
  a->at = at;
  a->data = lf_arena_at(at);
  return lf_table_add(&roots, at, a);
}

static void del_root(lf_array *a) {
  lf_table_del(&roots, a->at);
  if (roots.n == 0)
    lf_table_fini(&roots);
}

lf_array *lf_array_new(lf_element type, size_t length) {
  if (length > SIZE_MAX / 2 / lf_element_size(type) || lf_arena_open() != 0)
    return NULL;
  lf_array *a = object_new(type, length);
  if (a && a->bytes >= LARGE)
    lf_array_sweep();
  lf_extent *x = a ? lf_heap_take(a->bytes) : NULL;
  if (a && !x) { /* there may be some that can go */
    lf_array_sweep();
    x = lf_heap_take(a->bytes);
  }
  int err = LF_ENOMEM;
  if (x) {
    a->extent = x;
    a->state = LF_ARRAY_OWN;
    take_lock();
    err = add_root(a, x->at);
    give_lock();
  }
  if (err == 0)
    return a;
  if (x)
    lf_heap_give(x);
  lf_free(a);
  return NULL;
}

lf_array *lf_object_new(uint32_t type, size_t size) {
  lf_array *a = lf_array_new(LF_A_OBJECT, size);
  if (a)
    ((lf_shared *)a->data)->type = type;
  return a;
}

void lf_object_fini(uint32_t type, void (*fini)(void *data)) {
  lf_check(type < LF_TYPES);
  finis[type] = fini;
}

bool lf_array_is_shared(lf_array *a) {
  take_lock();
  bool shared =
      lf_array_is(a) != LF_ARRAY_OWN || a->named || is_held(a, UINT64_MAX);
  give_lock();
  return shared;
}

lf_array *lf_array_view(lf_array *array, size_t skip, size_t length,
                        bool readonly) {
  lf_array *a = object_new(array->type, length);
  if (!a)
    return NULL;
  a->data = (char *)array->data + skip * lf_element_size(array->type);
  a->readonly = readonly || array->readonly;
  a->base = lf_array_ref(lf_array_root(array));
  a->state = LF_ARRAY_VIEW;
  return a;
}

/* --- Going --- */

static void sweep(void);

/* Under the lock: a forked child may see it that was forked until then, or
 * somebody has it that is in the table of references alone. */
static bool must_stay(const lf_array *a, uint64_t until) {
  switch (lf_array_is(a)) {
  case LF_ARRAY_VIEW:
  case LF_ARRAY_INHERITED:
    return false;
  case LF_ARRAY_OWN:
    return is_held(a, until) || (is_known(a) && lf_refs_place(a->at));
  default:
    return is_held(a, until);
  }
}

/* Under the lock: its giver is to be told that it is gone here. */
static void drop(lf_giver *giver, lf_array *a) {
  a->next = giver->dropped;
  atomic_store(&giver->dropped, a);
  if (!a->next)
    giver->rouse(giver);
}

/* Under the lock: nobody refers to it, here or in a fork, nor finds it any
 * more. False: it is its giver's; else finish has to follow, without the lock.
 */
static bool forget(lf_array *a) {
  lf_array_state state = lf_array_is(a);
  if (state == LF_ARRAY_VIEW)
    return true;
  del_root(a);
  lf_list_del(&a->taken);
  if (state == LF_ARRAY_ORPHAN)
    lf_orphans_del(a->at, a->bytes);
  if (state == LF_ARRAY_TAKEN)
    drop(a->giver, a);
  return state != LF_ARRAY_TAKEN;
}

/* The object's memory is this process's to free: what belongs to it, too. */
static void end_object(lf_array *a) {
  lf_shared *object = a->data;
  void (*fini)(void *) = object->type < LF_TYPES ? finis[object->type] : NULL;
  if (fini)
    fini(object);
  if (object->slabs)
    lf_slabs_free_of(object);
}

/* After forget: its memory is free, as far as it is this process's. */
static void finish(lf_array *a) {
  bool object = a->type == LF_A_OBJECT;
  switch (lf_array_is(a)) {
  case LF_ARRAY_OWN:
    if (object)
      end_object(a);
    lf_heap_give(a->extent);
    break;
  case LF_ARRAY_ORPHAN:
    if (object && !lf_refs_place(a->at))
      end_object(a); /* else with its zone */
    lf_orphans_free(a->at, a->bytes);
    break;
  case LF_ARRAY_LISTED:
    lf_refs_del(a->at, LF_REFS_HERE);
    break;
  case LF_ARRAY_VIEW:
    lf_array_unref(a->base);
    break;
  default:
    break;
  }
  lf_free(a);
}

/* Under the lock: is there something that may be free by now, and enough new to
 * look? */
static bool is_sweep_due(const lf_array *a) {
  unswept_bytes += lf_array_is(a) == LF_ARRAY_OWN ? a->bytes : 0;
  bool some = !lf_list_empty(&limbo) || lf_orphans_linger();
  return some && (++unswept > swept || unswept_bytes > swept_bytes);
}

/* The last reference, as it seems. */
static void unref_last(lf_array *a) {
  take_lock();
  bool last = atomic_fetch_sub(&a->refs, 1) == 1;
  if (last && must_stay(a, UINT64_MAX)) {
    a->death = epochs;
    lf_list_add(&limbo, &a->limbo);
    atomic_store(&kept, true);
    last = false;
  }
  last = last && forget(a);
  bool due = is_sweep_due(a);
  give_lock();
  if (last)
    finish(a);
  if (due)
    sweep();
}

void lf_array_unref(void *array) {
  lf_array *a = array;
  size_t n = atomic_load_explicit(&a->refs, memory_order_relaxed);
  while (n > 1)
    if (atomic_compare_exchange_weak_explicit(
            &a->refs, &n, n - 1, memory_order_release, memory_order_relaxed))
      return;
  unref_last(a);
}

lf_array_stats lf_array_stat(void) {
  take_lock();
  size_t n = roots.n;
  give_lock();
  return (lf_array_stats){n, lf_heap_used()};
}

/* --- Forks --- */

/* Frees what was kept for forks that are over, and for items that are gone. */
static void sweep_limbo(void) {
  lf_link gone, *l, *next;
  lf_list_init(&gone);
  take_lock();
  unswept = swept = 0;
  unswept_bytes = swept_bytes = 0;
  for (l = limbo.next; l != &limbo; l = next) {
    lf_array *a = lf_container_of(l, lf_array, limbo);
    next = l->next;
    swept++;
    swept_bytes += a->bytes;
    if (must_stay(a, a->death))
      continue;
    lf_list_del(l);
    lf_list_add(&gone, l);
  }
  while ((l = lf_list_pop(&gone))) {
    lf_array *a = lf_container_of(l, lf_array, limbo);
    if (!forget(a))
      continue;
    give_lock();
    finish(a);
    take_lock();
  }
  give_lock();
}

void lf_array_sweep(void) {
  if (!atomic_load_explicit(&kept, memory_order_relaxed) &&
      !lf_orphans_linger())
    return;
  atomic_store(&kept, false);
  sweep();
  take_lock();
  if (!lf_list_empty(&limbo))
    atomic_store(&kept, true);
  give_lock();
}

static void sweep(void) {
  sweep_limbo();
  lf_orphans_sweep();
}

void lf_hold_begin(lf_hold *hold) {
  lf_list_init(&hold->link);
  hold->epoch = UINT64_MAX; /* whatever is made until it forks */
  take_lock();
  lf_list_add(&holds, &hold->link);
  give_lock();
}

void lf_hold_since(lf_hold *hold) {
  take_lock();
  hold->epoch = ++epochs;
  give_lock();
}

void lf_hold_end(lf_hold *hold) {
  take_lock();
  lf_list_del(&hold->link);
  give_lock();
  sweep();
}

/* --- From and to others --- */

bool lf_array_is_from(lf_array *root, const lf_giver *giver) {
  take_lock();
  lf_array_state state = lf_array_is(root);
  bool from = (state == LF_ARRAY_TAKEN && root->giver == giver) ||
              (state == LF_ARRAY_INHERITED && giver->parent);
  give_lock();
  return from;
}

/* Can it be, by its numbers? */
static bool is_sane(const lf_array_name *n) {
  uint64_t end = lf_arena_size();
  if (n->type >= LF_A_KINDS || n->at == 0 || n->at % LF_HEAP_ALIGN != 0 ||
      n->at >= end || n->size > end - n->at)
    return false;
  uint64_t length = n->size / lf_element_size((lf_element)n->type);
  return n->skip <= length && n->length <= length - n->skip;
}

/* Under the lock: it is the giver's from now on. */
static void note_taken(lf_array *a, lf_giver *giver) {
  a->generation = lf_generation;
  a->state = LF_ARRAY_TAKEN;
  a->giver = giver;
  a->names = 1;
  lf_list_del(&a->taken);
  lf_list_add(&giver->taken, &a->taken);
}

/* Under the lock: a root that was not known yet, without a reference; 'giver':
 * from a process, or NULL: by the table of references. */
static lf_array *import(lf_giver *giver, const lf_array_name *n) {
  lf_element type = (lf_element)n->type;
  lf_array *a = object_new(type, n->size / lf_element_size(type));
  if (!a)
    return NULL;
  if (add_root(a, n->at) != 0) {
    lf_free(a);
    return NULL;
  }
  atomic_store(&a->refs, 0);
  a->state = LF_ARRAY_LISTED;
  if (giver)
    note_taken(a, giver);
  return a;
}

/* Under the lock: the giver names what is known here from elsewhere, and is
 * told that it need not keep it for that. */
static bool decline(lf_giver *giver, const lf_array_name *n) {
  lf_array *notice = lf_zalloc(sizeof *notice);
  if (!notice)
    return false;
  notice->at = n->at;
  notice->names = 1;
  drop(giver, notice);
  return true;
}

/* Under the lock: the root, unless it is one of a parent's that is about to go.
 */
static lf_array *find_known(const lf_array_name *n) {
  lf_entry *e = lf_table_find(&roots, n->at);
  lf_array *a = e ? e->value : NULL;
  if (!a || lf_array_is(a) != LF_ARRAY_INHERITED || atomic_load(&a->refs) > 0)
    return a;
  del_root(a);
  lf_list_del(&a->taken);
  lf_free(a);
  return NULL;
}

/* Under the lock: the root, perhaps without a reference yet. */
static lf_array *find_root(lf_giver *giver, const lf_array_name *n) {
  if (!n->given) {
    lf_entry *e = lf_table_find(&roots, n->at);
    return e ? e->value : NULL;
  }
  lf_array *a = find_known(n);
  if (!a)
    return import(giver, n);
  lf_array_state state = lf_array_is(a);
  if (state == LF_ARRAY_INHERITED)
    note_taken(a, giver);
  else if (state == LF_ARRAY_TAKEN && a->giver == giver)
    a->names++;
  else if (!decline(giver, n))
    return NULL;
  return a;
}

/* All of the root, or a view of it. Takes over the reference. */
static lf_array *view_of(lf_array *root, const lf_array_name *n) {
  if (n->type != root->type || n->skip + n->length > root->length) {
    lf_array_unref(root);
    return NULL;
  }
  if (n->length == root->length && n->readonly == root->readonly)
    return root;
  lf_array *a = lf_array_view(root, n->skip, n->length, n->readonly);
  lf_array_unref(root);
  return a;
}

lf_array_name lf_array_describe(lf_array *a) {
  lf_array *root = lf_array_root(a);
  size_t before = (size_t)((char *)a->data - (char *)root->data);
  return (lf_array_name){.at = root->at,
                         .size = root->bytes,
                         .skip = before / lf_element_size(a->type),
                         .length = a->length,
                         .type = (uint8_t)a->type,
                         .readonly = a->readonly};
}

bool lf_array_pin(const lf_array_name *name, const lf_shared *object) {
  return lf_refs_add(name->at, lf_arena_offset(object));
}

bool lf_array_deposit(lf_array *a, const lf_shared *object,
                      lf_array_name *name) {
  *name = lf_array_describe(a);
  atomic_store(&lf_array_root(a)->named, true);
  return lf_array_pin(name, object);
}

/* Under the lock: the root, which the table of references has. */
static lf_array *collect_root(const lf_array_name *n) {
  lf_array *a = find_known(n);
  if (a || !lf_refs_add(n->at, LF_REFS_HERE))
    return a;
  a = import(NULL, n);
  if (!a)
    lf_refs_del(n->at, LF_REFS_HERE);
  return a;
}

/* 'giver' NULL: by the table of references. */
static lf_array *look_up(lf_giver *giver, const lf_array_name *n) {
  if (!is_sane(n) || !lf_arena_touch(n->at, n->size))
    return NULL;
  take_lock();
  lf_array *root = giver ? find_root(giver, n) : collect_root(n);
  if (root && atomic_fetch_add(&root->refs, 1) == 0)
    lf_list_del(&root->limbo);
  give_lock();
  return root ? view_of(root, n) : NULL;
}

lf_array *lf_array_find(lf_giver *giver, const lf_array_name *n) {
  return look_up(giver, n);
}

lf_array *lf_array_collect(const lf_array_name *n) {
  return look_up(NULL, n);
}

void lf_array_discard(const lf_array_name *n, const lf_shared *object) {
  lf_refs_del(n->at, lf_arena_offset(object));
}

lf_array *lf_array_take_dropped(lf_giver *giver) {
  take_lock();
  lf_array *chain = giver->dropped;
  atomic_store(&giver->dropped, NULL);
  give_lock();
  return chain;
}

void lf_array_put_dropped(lf_giver *giver, lf_array *chain) {
  lf_array *last = chain;
  while (last->next)
    last = last->next;
  take_lock();
  last->next = giver->dropped;
  atomic_store(&giver->dropped, chain);
  give_lock();
}

/* Under the lock: what the dead have given stays for now. */
static void orphan_all(lf_giver *giver) {
  lf_link *l;
  while ((l = lf_list_pop(&giver->taken))) {
    lf_array *a = lf_container_of(l, lf_array, taken);
    a->giver = NULL;
    a->state = LF_ARRAY_ORPHAN;
    lf_orphans_add(a->at, a->bytes);
  }
}

/* Under the lock: what the giver, which has ended, had from elsewhere is this
 * process's by the table of references from now on. */
static void adopt_relayed(lf_giver *giver, uint32_t owner) {
  for (lf_link *l = giver->taken.next, *next; l != &giver->taken; l = next) {
    lf_array *a = lf_container_of(l, lf_array, taken);
    next = l->next;
    if (lf_zone_descends((uint32_t)(a->at / lf_zone_size()), owner))
      continue;
    lf_list_del(&a->taken);
    a->giver = NULL;
    bool fits = lf_refs_add(a->at, LF_REFS_HERE);
    a->state = fits ? LF_ARRAY_LISTED : LF_ARRAY_STRAY;
  }
}

void lf_array_reap(lf_giver *giver, uint32_t owner) {
  uint16_t zones[LF_ZONES];
  uint32_t n = 0, empty = 0;
  if (owner) {
    lf_owner_end(owner);
    take_lock();
    if (giver)
      adopt_relayed(giver, owner);
    give_lock();
    lf_shared_waiters_reap(owner);
    lf_refs_reap(owner);
  }
  take_lock();
  if (giver)
    orphan_all(giver);
  if (owner)
    n = lf_owner_reap(owner, zones);
  for (uint32_t i = 0; i < n; i++)
    if (!lf_orphans_in(zones[i]))
      zones[empty++] = zones[i];
  give_lock();
  if (owner)
    lf_shared_waiters_look_again();
  for (uint32_t i = 0; i < empty; i++)
    lf_orphans_free_zone(zones[i]);
}
