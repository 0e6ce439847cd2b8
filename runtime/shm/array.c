/* SPDX-License-Identifier: MIT
 *
 * See array.h. All roots are found by the offset of their memory. The last
 * reference is given up under the lock, so that nobody finds one that is about
 * to go. */
#include "runtime/shm/array.h"
#include "runtime/base/atfork.h"

#include "runtime/base/mem.h"
#include "runtime/base/table.h"
#include "runtime/os/fork.h"
#include "runtime/shm/arena.h"
#include "runtime/shm/heap.h"
#include "runtime/shm/refs.h"
#include "runtime/shm/slab.h"

#include <pthread.h>

enum { LARGE = 64 << 10 }; /* bytes: worth a look at what can go */

#define GOING UINT32_MAX /* a ward: whoever sees it first frees the zone */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the next ones */
static uint32_t generation;
static bool ready;
static lf_table roots; /* offset -> lf_array * */
static lf_link holds, limbo;
static _Atomic uint64_t epochs; /* forks so far */

/* Zones inherited from dead processes, by number: how many roots lie there; is
 * there one of which only the table of references knows? */
static _Atomic uint32_t wards[LF_ZONES];
static _Atomic bool haunted[LF_ZONES];
static _Atomic uint32_t ghosts; /* how many zones are */
static atomic_bool kept;        /* a hint: there is something to sweep */

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

static void give_lock(void) {
  pthread_mutex_unlock(&lock);
}

static void only_lock(void) {
  pthread_mutex_lock(&lock);
}

__attribute__((constructor)) static void survive_fork(void) {
  lf_at_fork(LF_FORK_ARRAYS, only_lock, give_lock, give_lock);
}

/* In a forked process the roots are there, and foreign; the parent's children
 * and dead are not its own. */
static void take_lock(void) {
  only_lock();
  if (ready && !lf_is_foreign(generation))
    return;
  while (ready && lf_list_pop(&limbo))
    continue;
  lf_list_init(&holds);
  lf_list_init(&limbo);
  for (int i = 0; ready && i < LF_ZONES; i++) {
    atomic_store_explicit(&wards[i], 0, memory_order_relaxed);
    atomic_store_explicit(&haunted[i], false, memory_order_relaxed);
  }
  atomic_store(&ghosts, 0);
  generation = lf_generation;
  ready = true;
}

/* --- Making --- */

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
  bool shared = a->named || a->giver || a->orphan ||
                lf_is_foreign(a->generation) || is_held(a, UINT64_MAX);
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
  return a;
}

/* --- Going --- */

static void sweep(void);

/* The first and last zone of an orphan. */
static uint32_t first_zone(const lf_array *a) {
  return (uint32_t)(a->at / lf_zone_size());
}

static uint32_t last_zone(const lf_array *a) {
  uint64_t n = a->bytes ? a->bytes : 1;
  return (uint32_t)((a->at + n - 1) / lf_zone_size());
}

/* Under the lock: nobody refers to it, here or in a fork. What is left to be
 * done without the lock is finish's. */
static void forget(lf_array *a) {
  if (a->base)
    return;
  del_root(a);
  lf_list_del(&a->taken);
  if (lf_is_foreign(a->generation))
    return;
  if (a->orphan)
    for (uint32_t z = first_zone(a); z <= last_zone(a); z++)
      if (wards[z] > 0 && --wards[z] == 0)
        wards[z] = GOING;
  if (!a->giver)
    return;
  a->next = a->giver->dropped;
  atomic_store(&a->giver->dropped, a);
  if (!a->next)
    a->giver->rouse(a->giver);
}

/* Unless something in it is still in the table of references: then it is looked
 * at again. */
static void free_zone(uint32_t zone) {
  uint64_t at = zone * lf_zone_size();
  if (!lf_zone_is_mine(zone) || atomic_load(&wards[zone]) > 0)
    return;
  if (lf_refs_in(zone)) {
    if (!atomic_exchange(&haunted[zone], true))
      atomic_fetch_add(&ghosts, 1);
    atomic_store(&kept, true);
    return;
  }
  lf_slabs_free_between(at, at + lf_zone_size());
  lf_zone_free(zone);
}

static void free_wards(const lf_array *a) {
  for (uint32_t z = first_zone(a); z <= last_zone(a); z++) {
    uint32_t going = GOING;
    if (atomic_compare_exchange_strong(&wards[z], &going, 0))
      free_zone(z);
  }
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

/* Without the lock, after forget; 'dropped': the giver is to be told. */
static void finish(lf_array *a, bool dropped) {
  if (dropped)
    return;
  bool foreign = lf_is_foreign(a->generation);
  bool shared = a->guest || (a->orphan && lf_refs_place(a->at));
  if (a->type == LF_A_OBJECT && !a->base && !foreign && !shared)
    end_object(a); /* else with its zone */
  if (a->extent && !foreign)
    lf_heap_give(a->extent);
  if (a->orphan && !foreign)
    free_wards(a);
  if (a->guest && !foreign)
    lf_refs_del(a->at, LF_REFS_HERE);
  if (a->base)
    lf_array_unref(a->base);
  lf_free(a);
}

/* Under the lock: a forked child may see it that was forked until then, or an
 * item refers to it. */
static bool must_stay(const lf_array *a, uint64_t until) {
  if (a->base)
    return false;
  return is_held(a, until) ||
         (a->extent && is_known(a) && lf_refs_place(a->at));
}

/* The last reference, as it seems. */
static void unref_last(lf_array *a) {
  take_lock();
  bool last = atomic_fetch_sub(&a->refs, 1) == 1;
  bool foreign = lf_is_foreign(a->generation);
  if (last && !foreign && must_stay(a, UINT64_MAX)) {
    a->death = epochs;
    lf_list_add(&limbo, &a->limbo);
    atomic_store(&kept, true);
    last = false;
  }
  bool dropped = a->giver && !foreign;
  if (last)
    forget(a);
  bool some = !lf_list_empty(&limbo) || atomic_load(&ghosts) > 0;
  unswept_bytes += a->extent && !a->base ? a->bytes : 0;
  bool due = some && (++unswept > swept || unswept_bytes > swept_bytes);
  give_lock();
  if (last)
    finish(a, dropped);
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

/* Zones that nothing refers to any more. */
static void sweep_ghosts(void) {
  for (uint32_t z = 0; atomic_load(&ghosts) > 0 && z < LF_ZONES; z++)
    if (atomic_load(&haunted[z]) && atomic_load(&wards[z]) == 0 &&
        !lf_refs_in(z) && atomic_exchange(&haunted[z], false)) {
      atomic_fetch_sub(&ghosts, 1);
      free_zone(z);
    }
}

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
    bool dropped = a->giver != NULL;
    forget(a);
    give_lock();
    finish(a, dropped);
    take_lock();
  }
  give_lock();
}

void lf_array_sweep(void) {
  if (!atomic_load_explicit(&kept, memory_order_relaxed))
    return;
  atomic_store(&kept, false);
  sweep();
  take_lock();
  if (!lf_list_empty(&limbo) || atomic_load(&ghosts) > 0)
    atomic_store(&kept, true);
  give_lock();
}

static void sweep(void) {
  sweep_limbo();
  if (atomic_load(&ghosts) > 0)
    sweep_ghosts();
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
  bool from = root->giver == giver && !lf_is_foreign(root->generation);
  give_lock();
  return from;
}

bool lf_array_is_inherited(const lf_array *root) {
  return lf_is_foreign(root->generation);
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
  a->guest = !giver;
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
  notice->next = giver->dropped;
  atomic_store(&giver->dropped, notice);
  if (!notice->next)
    giver->rouse(giver);
  return true;
}

/* Under the lock: the root, unless it is one of a parent's that is about to go.
 */
static lf_array *find_known(const lf_array_name *n) {
  lf_entry *e = lf_table_find(&roots, n->at);
  lf_array *a = e ? e->value : NULL;
  if (!a || !lf_is_foreign(a->generation) || atomic_load(&a->refs) > 0)
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
  if (lf_is_foreign(a->generation))
    note_taken(a, giver);
  else if (a->giver == giver)
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

lf_array *lf_array_find(lf_giver *giver, const lf_array_name *n) {
  if (!is_sane(n) || !lf_arena_touch(n->at, n->size))
    return NULL;
  take_lock();
  lf_array *root = find_root(giver, n);
  if (root && atomic_fetch_add(&root->refs, 1) == 0)
    lf_list_del(&root->limbo);
  give_lock();
  return root ? view_of(root, n) : NULL;
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

lf_array *lf_array_collect(const lf_array_name *n) {
  if (!is_sane(n) || !lf_arena_touch(n->at, n->size))
    return NULL;
  take_lock();
  lf_array *root = collect_root(n);
  if (root && atomic_fetch_add(&root->refs, 1) == 0)
    lf_list_del(&root->limbo);
  give_lock();
  return root ? view_of(root, n) : NULL;
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
    a->orphan = true;
    for (uint32_t z = first_zone(a); z <= last_zone(a); z++)
      wards[z] = wards[z] == GOING ? 1 : wards[z] + 1;
  }
}

/* Under the lock: what the giver, which has ended, had from elsewhere is this
 * process's by the table of references from now on. */
static void adopt_relayed(lf_giver *giver, uint32_t owner) {
  for (lf_link *l = giver->taken.next, *next; l != &giver->taken; l = next) {
    lf_array *a = lf_container_of(l, lf_array, taken);
    next = l->next;
    if (lf_zone_descends(first_zone(a), owner))
      continue;
    lf_list_del(&a->taken);
    a->giver = NULL;
    a->guest = lf_refs_add(a->at, LF_REFS_HERE);
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
    if (wards[zones[i]] == 0)
      zones[empty++] = zones[i];
  give_lock();
  if (owner)
    lf_shared_waiters_look_again();
  for (uint32_t i = 0; i < empty; i++)
    free_zone(zones[i]);
}
