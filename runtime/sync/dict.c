/* SPDX-License-Identifier: MIT
 *
 * See dict.h. A slot has the entry's position and above it 16 bits of the hash;
 * slots are probed one after the other (Knuth, TAOCP 3, 6.4, algorithm L). */
#include "runtime/sync/dict.h"

#include "runtime/shm/arena.h"

enum { TAG = 48, STALE = 1, FIRST = LF_LIMIT(256, 8) };

#define SLACK                                                                  \
  ((uint64_t)LF_LIMIT(64 << 10, 1 << 10)) /* stale bytes allowed               \
                                           */

/* In front of an entry, at a multiple of 8; behind it the key, then the values
 * and what they refer to. */
typedef struct {
  uint32_t kind; /* lf_dict_kind */
  uint32_t key;  /* bytes */
  uint64_t bits; /* of a number; changed in one step */
  lf_record record;
  uint64_t check; /* a hash of all that but the bits */
} entry;

/* The kind of an entry that some process has spoilt: nobody can tell more. */
enum { DAMAGED = LF_D_PACKED + 1 };

static uint64_t check_of(const entry *e) {
  entry copy = *e;
  copy.bits = 0;
  copy.check = 0;
  return lf_hash(&copy, sizeof copy);
}

/* Reads what is in front of an entry, and moves the position behind it. */
static entry read_at(lf_position *at) {
  entry e;
  lf_stream_read(at, &e, sizeof e);
  if (e.check != check_of(&e))
    return (entry){.kind = DAMAGED};
  return e;
}

static uint64_t size_of(const entry *e) {
  uint64_t n = sizeof *e + e->key + e->record.body + e->record.tail;
  return (n + 7) / 8 * 8;
}

/* --- Slots --- */

static uint64_t per_slab(void) {
  return lf_slab_size() / sizeof(uint64_t);
}

static _Atomic uint64_t *word_at(uint64_t slab, uint64_t i) {
  lf_check(lf_arena_touch(slab, 1));
  return (_Atomic uint64_t *)lf_arena_at(slab) + i;
}

static _Atomic uint64_t *slot_at(const lf_dict_state *s, uint64_t i) {
  uint64_t slab = *word_at(s->table, i / per_slab());
  return word_at(slab, i % per_slab());
}

static lf_position position_of(uint64_t slot) {
  return slot & (((uint64_t)1 << TAG) - 1);
}

static void free_table(uint64_t table, uint64_t slots) {
  for (uint64_t i = 0; table && i * per_slab() < slots; i++)
    if (*word_at(table, i))
      lf_slab_free(*word_at(table, i));
  if (table)
    lf_slab_free(table);
}

/* An empty table; false: no memory. */
static bool make_table(lf_dict *d, lf_dict_state *s, uint64_t slots) {
  uint64_t slabs = (slots + per_slab() - 1) / per_slab();
  s->slots = slots;
  s->used = 0;
  s->table = slabs <= per_slab() ? lf_slab_claim(&d->shared) : 0;
  for (uint64_t i = 0; s->table && i < per_slab(); i++)
    atomic_store_explicit(word_at(s->table, i), 0, memory_order_relaxed);
  for (uint64_t i = 0; s->table && i < slabs; i++) {
    uint64_t slab = lf_slab_claim(&d->shared);
    if (!slab) {
      free_table(s->table, slots);
      s->table = 0;
      return false;
    }
    uint64_t n = slots < per_slab() ? slots : per_slab();
    for (uint64_t k = 0; k < n; k++)
      atomic_store_explicit(word_at(slab, k), 0, memory_order_relaxed);
    *word_at(s->table, i) = slab;
  }
  return s->table != 0;
}

/* --- Entries --- */

/* Is the entry's key this one? */
static bool has_key(lf_position at, const lf_buf *key) {
  unsigned char part[256];
  entry e = read_at(&at);
  if (e.kind == DAMAGED || e.key != key->len)
    return false;
  for (size_t i = 0; i < key->len;) {
    size_t n = key->len - i < sizeof part ? key->len - i : sizeof part;
    lf_stream_read(&at, part, n);
    if (memcmp(part, key->data + i, n) != 0)
      return false;
    i += n;
  }
  return true;
}

/* The slot of the key, or the empty one where it would be. */
static _Atomic uint64_t *find(const lf_dict_state *s, const lf_buf *key,
                              uint64_t hash) {
  for (uint64_t i = hash & (s->slots - 1);; i = (i + 1) & (s->slots - 1)) {
    _Atomic uint64_t *slot = slot_at(s, i);
    uint64_t now = *slot;
    if (now == 0 || (now >> TAG == hash >> TAG && position_of(now) > STALE &&
                     has_key(position_of(now), key)))
      return slot;
  }
}

static entry read_entry(uint64_t slot) {
  lf_position at = position_of(slot);
  return read_at(&at);
}

/* --- The state, under the lock --- */

static void commit(lf_dict *d, const lf_dict_state *s) {
  uint32_t other = !atomic_load_explicit(&d->current, memory_order_relaxed);
  d->states[other] = *s;
  atomic_store_explicit(&d->current, other, memory_order_release);
}

/* Who had the lock has died: counts anew. */
static void recount(lf_dict *d, lf_dict_state *s) {
  uint64_t all = s->live + s->stale;
  s->used = s->count = s->live = 0;
  for (uint64_t i = 0; i < s->slots; i++) {
    uint64_t slot = *slot_at(s, i);
    s->used += slot != 0;
    if (position_of(slot) <= STALE)
      continue;
    entry e = read_entry(slot);
    s->count++;
    s->live += size_of(&e);
  }
  s->stale = all > s->live ? all - s->live : 0;
  commit(d, s);
}

static lf_dict_state begin(lf_dict *d) {
  bool died = lf_robust_take(&d->robust);
  lf_dict_state s =
      d->states[atomic_load_explicit(&d->current, memory_order_relaxed) & 1];
  if (died)
    recount(d, &s);
  return s;
}

static void end(lf_dict *d) {
  lf_robust_give(&d->robust);
}

/* --- Writing --- */

static bool write_entry(lf_dict *d, lf_dict_state *s, const entry *e,
                        const void *key, const void *body, const void *tail) {
  static const unsigned char zeroes[8];
  uint64_t n = sizeof *e + e->key + e->record.body + e->record.tail;
  return lf_stream_write(&d->shared, &s->tail, e, sizeof *e) &&
         lf_stream_write(&d->shared, &s->tail, key, e->key) &&
         lf_stream_write(&d->shared, &s->tail, body, e->record.body) &&
         lf_stream_write(&d->shared, &s->tail, tail, e->record.tail) &&
         lf_stream_write(&d->shared, &s->tail, zeroes, size_of(e) - n);
}

/* Copies an entry to the end. */
static bool copy_entry(lf_dict *d, lf_dict_state *s, lf_position from) {
  unsigned char part[1024];
  lf_position at = from;
  entry e = read_at(&at);
  for (uint64_t left = size_of(&e), n; left > 0; left -= n) {
    n = left < sizeof part ? left : sizeof part;
    lf_stream_read(&from, part, n);
    if (!lf_stream_write(&d->shared, &s->tail, part, n))
      return false;
  }
  s->live += size_of(&e);
  return true;
}

/* Puts a slot of an old table into the new one, which has no such key. */
static void put_slot(lf_dict_state *s, uint64_t hash, uint64_t slot) {
  uint64_t i = hash & (s->slots - 1);
  while (*slot_at(s, i) != 0)
    i = (i + 1) & (s->slots - 1);
  *slot_at(s, i) = slot;
  s->used++;
}

static uint64_t hash_of(const void *key, size_t n) {
  return lf_hash(key, n);
}

/* The hash of an entry's key. False: no memory. */
static bool hash_entry(lf_position at, uint64_t *hash) {
  lf_buf key = {0};
  entry e = read_at(&at);
  bool ok = lf_stream_append(&at, &key, e.key) == 0;
  if (ok)
    *hash = hash_of(key.data, e.key);
  lf_buf_fini(&key);
  return ok;
}

/* All entries of 'old', with a log of their own if 'log', in a new table. */
static bool fill_anew(lf_dict *d, lf_dict_state *s, const lf_dict_state *old,
                      bool log) {
  for (uint64_t i = 0; i < old->slots; i++) {
    uint64_t slot = *slot_at(old, i), hash;
    lf_position at = position_of(slot);
    if (at <= STALE)
      continue;
    if (read_entry(slot).kind == DAMAGED) {
      s->count -= s->count > 0;
      continue;
    }
    if (!hash_entry(at, &hash))
      return false;
    lf_position to = log ? s->tail : at;
    if (log && !copy_entry(d, s, at))
      return false;
    put_slot(s, hash, hash >> TAG << TAG | to);
  }
  return true;
}

/* Writes the table, and with it what is written, anew. */
static bool renew(lf_dict *d, lf_dict_state *s) {
  lf_dict_state old = *s;
  bool log = old.log && old.stale > old.live + SLACK;
  uint64_t slots = FIRST;
  while (slots < 4 * (old.count + 1))
    slots *= 2;
  if (!make_table(d, s, slots)) {
    *s = old;
    return false;
  }
  if (log || !old.log)
    s->log = s->tail = lf_stream_begin(&d->shared);
  if (log)
    s->live = s->stale = 0;
  if (!s->log || !fill_anew(d, s, &old, log)) {
    free_table(s->table, s->slots);
    if (s->log && s->log != old.log)
      lf_stream_free(s->log);
    *s = old;
    return false;
  }
  commit(d, s);
  free_table(old.table, old.slots);
  if (log)
    lf_stream_free(old.log);
  return true;
}

/* Is there room for one more, and not too much that is stale? */
static bool prepare(lf_dict *d, lf_dict_state *s) {
  bool full = 2 * (s->used + 1) > s->slots;
  bool untidy = s->stale > s->live + SLACK;
  return (!full && !untidy) || renew(d, s) ||
         (s->log && s->used + 1 < s->slots);
}

/* What the entry refers to has its reference no more. */
static void drop_entry(lf_dict *d, uint64_t slot, const entry *e) {
  lf_position at = position_of(slot);
  if (e->record.tail == 0)
    return;
  lf_stream_read(&at, NULL, sizeof *e + e->key);
  lf_record_discard(&d->shared, &e->record, at);
}

/* Writes the value under the key, whose slot is known. */
static int store(lf_dict *d, lf_dict_state *s, _Atomic uint64_t *slot,
                 const lf_buf *key, const lf_dict_value *v, uint64_t hash) {
  lf_buf tail = {0};
  lf_position at = s->tail, before = s->tail;
  entry e = {.kind = v->kind, .key = (uint32_t)key->len, .bits = v->bits};
  bool packed = v->kind == LF_D_PACKED;
  int err =
      packed ? lf_record_make(&d->shared, &e.record, v->values, &tail) : 0;
  e.check = check_of(&e);
  if (err == 0 && !write_entry(d, s, &e, key->data,
                               packed ? v->values->data : NULL, tail.data))
    err = LF_ENOMEM;
  if (err)
    lf_record_undo(&d->shared, &tail);
  lf_buf_fini(&tail);
  if (err) {
    s->tail = before;
    lf_stream_cut(before);
    return err;
  }
  uint64_t old = *slot;
  entry replaced = {0};
  if (old)
    replaced = read_entry(old);
  s->used += old == 0;
  s->count += old == 0;
  s->live += size_of(&e) - (old ? size_of(&replaced) : 0);
  s->stale += old ? size_of(&replaced) : 0;
  commit(d, s);
  *slot = hash >> TAG << TAG | at;
  if (old)
    drop_entry(d, old, &replaced);
  return 0;
}

static void remove_at(lf_dict *d, lf_dict_state *s, _Atomic uint64_t *slot) {
  uint64_t was = *slot;
  entry e = read_entry(was);
  *slot = STALE;
  s->count--;
  s->live -= size_of(&e);
  s->stale += size_of(&e);
  commit(d, s);
  drop_entry(d, was, &e);
}

/* The word of a number's entry. */
static _Atomic uint64_t *bits_at(uint64_t slot) {
  lf_position at = position_of(slot);
  lf_stream_read(&at, NULL, offsetof(entry, bits) + sizeof slot);
  return lf_arena_at(at - sizeof slot);
}

/* The same, NULL: removes it; the slots are known to be there. */
static int change(lf_dict *d, lf_dict_state *s, _Atomic uint64_t *slot,
                  const lf_buf *key, const lf_dict_value *v, uint64_t hash) {
  bool there = slot && *slot != 0;
  if (!v) {
    if (there)
      remove_at(d, s, slot);
    return 0;
  }
  entry old = there ? read_entry(*slot) : (entry){.kind = LF_D_PACKED};
  if (there && v->kind != LF_D_PACKED && old.kind == v->kind) {
    *bits_at(*slot) = v->bits;
    return 0;
  }
  return store(d, s, slot, key, v, hash);
}

/* Finds the key's slot, which there is in any case if something is to be
 * stored. */
static int find_slot(lf_dict *d, lf_dict_state *s, const lf_buf *key,
                     uint64_t hash, bool stores, _Atomic uint64_t **slot) {
  *slot = NULL;
  if (stores && !prepare(d, s))
    return LF_ENOMEM;
  if (s->slots)
    *slot = find(s, key, hash);
  return 0;
}

int lf_dict_set(lf_dict *d, const lf_buf *key, const lf_dict_value *v) {
  uint64_t hash = hash_of(key->data, key->len);
  _Atomic uint64_t *slot;
  lf_dict_state s = begin(d);
  int err = find_slot(d, &s, key, hash, v != NULL, &slot);
  err = err ? err : change(d, &s, slot, key, v, hash);
  end(d);
  return err;
}

/* --- Numbers --- */

static double double_of(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static double number_of(lf_dict_kind kind, uint64_t bits) {
  return kind == LF_D_INTEGER ? (double)(int64_t)bits : double_of(bits);
}

/* The sum of two numbers, as Lua adds them. */
static void add_to(lf_dict_value *v, lf_dict_kind kind, uint64_t bits) {
  if (kind == LF_D_INTEGER && v->kind == LF_D_INTEGER) {
    v->bits += bits;
    return;
  }
  v->bits = bits_of(number_of(kind, bits) + number_of(v->kind, v->bits));
  v->kind = LF_D_FLOAT;
}

int lf_dict_add(lf_dict *d, const lf_buf *key, lf_dict_value *v) {
  uint64_t hash = hash_of(key->data, key->len);
  lf_dict_state s = begin(d);
  _Atomic uint64_t *slot;
  int err = find_slot(d, &s, key, hash, true, &slot);
  entry old = {.kind = LF_D_INTEGER};
  if (slot && *slot)
    old = read_entry(*slot);
  if (err == 0 && old.kind == LF_D_PACKED)
    err = LF_EPERM;
  if (err == 0) {
    add_to(v, old.kind, old.bits);
    if (*slot && old.kind == v->kind)
      *bits_at(*slot) = v->bits;
    else
      err = store(d, &s, slot, key, v, hash);
  }
  end(d);
  return err;
}

/* --- Reading --- */

/* Copies what is in the slot, and holds what it refers to ('tail'). */
static int read_slot(lf_dict *d, uint64_t slot, lf_dict_value *v,
                     lf_buf *tail) {
  lf_position at = position_of(slot);
  entry e = read_at(&at);
  lf_stream_read(&at, NULL, e.key);
  int err = lf_stream_append(&at, v->values, e.record.body);
  err = err ? err : lf_stream_append(&at, tail, e.record.tail);
  if (err == 0 && !lf_record_has_tail(&e.record, tail))
    err = LF_EDAMAGED;
  v->kind = (lf_dict_kind)e.kind;
  v->bits = e.bits;
  return err ? err : lf_record_pin(&d->shared, tail);
}

/* What has been read, as a value. */
static int open_value(lf_dict *d, int err, lf_dict_value *v, lf_buf *tail,
                      lf_annotate *annotate) {
  if (err == 0) {
    err = lf_record_open(v->values, tail, annotate);
    lf_record_undo(&d->shared, tail);
  }
  lf_buf_fini(tail);
  return err;
}

int lf_dict_get(lf_dict *d, const lf_buf *key, lf_dict_value *v,
                lf_annotate *annotate) {
  uint64_t hash = hash_of(key->data, key->len);
  lf_buf tail = {0};
  lf_dict_state s = begin(d);
  uint64_t slot = s.slots ? *find(&s, key, hash) : 0;
  int err = slot ? read_slot(d, slot, v, &tail) : LF_EAGAIN;
  end(d);
  return open_value(d, err, v, &tail, annotate);
}

int lf_dict_pop(lf_dict *d, const lf_buf *key, lf_dict_value *v,
                lf_annotate *annotate) {
  uint64_t hash = hash_of(key->data, key->len);
  lf_buf tail = {0};
  lf_dict_state s = begin(d);
  _Atomic uint64_t *slot = s.slots ? find(&s, key, hash) : NULL;
  int err = slot && *slot ? read_slot(d, *slot, v, &tail) : LF_EAGAIN;
  if (err == 0)
    remove_at(d, &s, slot);
  end(d);
  return open_value(d, err, v, &tail, annotate);
}

int lf_dict_default(lf_dict *d, const lf_buf *key, const lf_dict_value *new,
                    lf_dict_value *v, lf_annotate *annotate) {
  uint64_t hash = hash_of(key->data, key->len);
  lf_buf tail = {0};
  _Atomic uint64_t *slot;
  lf_dict_state s = begin(d);
  int err = find_slot(d, &s, key, hash, true, &slot);
  if (err == 0 && *slot)
    err = read_slot(d, *slot, v, &tail);
  else if (err == 0)
    err = store(d, &s, slot, key, new, hash) ? LF_ENOMEM : LF_EAGAIN;
  end(d);
  return open_value(d, err, v, &tail, annotate);
}

static bool is_number(lf_dict_kind kind, uint64_t bits,
                      const lf_dict_value *v) {
  if (kind == v->kind && kind == LF_D_INTEGER)
    return bits == v->bits;
  double x = number_of(kind, bits), y = number_of(v->kind, v->bits);
  int64_t i = (int64_t)(kind == LF_D_INTEGER ? bits : v->bits);
  bool exact = kind == v->kind || (x < 0x1p63 && (int64_t)x == i &&
                                   (y < 0x1p63 && (int64_t)y == i));
  return x == y && exact;
}

/* Is it what the slot has? Packed values are compared by their bytes. */
static int compare(uint64_t slot, const lf_dict_value *v, bool *same) {
  lf_buf body = {0};
  lf_position at = position_of(slot);
  entry e = read_at(&at);
  *same = false;
  if ((e.kind == LF_D_PACKED) != (v->kind == LF_D_PACKED))
    return 0;
  if (e.kind != LF_D_PACKED) {
    *same = is_number((lf_dict_kind)e.kind, e.bits, v);
    return 0;
  }
  if (e.record.tail > 0 || e.record.body != v->values->len)
    return 0;
  lf_stream_read(&at, NULL, e.key);
  int err = lf_stream_append(&at, &body, e.record.body);
  *same = err == 0 && memcmp(body.data, v->values->data, body.len) == 0;
  lf_buf_fini(&body);
  return err;
}

int lf_dict_cas(lf_dict *d, const lf_buf *key, const lf_dict_value *old,
                const lf_dict_value *new) {
  uint64_t hash = hash_of(key->data, key->len);
  _Atomic uint64_t *slot;
  lf_dict_state s = begin(d);
  int err = find_slot(d, &s, key, hash, new != NULL, &slot);
  bool there = err == 0 && slot && *slot, same = there == (old != NULL);
  if (there && old)
    err = compare(*slot, old, &same);
  if (err == 0)
    err = same ? change(d, &s, slot, key, new, hash) : LF_EAGAIN;
  end(d);
  return err;
}

uint64_t lf_dict_count(lf_dict *d) {
  lf_dict_state s = begin(d);
  end(d);
  return s.count;
}

/* What the entry in the copy refers to, borrowed. */
static lf_buf tail_of(const unsigned char *from, const entry *e) {
  size_t at = sizeof *e + e->key + e->record.body;
  return (lf_buf){.data = (unsigned char *)from + at, .len = e->record.tail};
}

/* Copies the entry in the slot, and holds what it refers to. */
static int copy_slot(lf_dict *d, uint64_t slot, lf_buf *out) {
  size_t before = out->len;
  lf_position at = position_of(slot);
  entry e = read_entry(slot);
  if (e.kind == DAMAGED)
    return 0;
  if (lf_stream_append(&at, out, size_of(&e)) != 0)
    return LF_ENOMEM;
  lf_buf tail = tail_of(out->data + before, &e);
  bool whole = lf_record_has_tail(&e.record, &tail);
  int err = whole ? lf_record_pin(&d->shared, &tail) : 0;
  if (err || !whole)
    lf_buf_cut(out, before);
  return err;
}

int lf_dict_copy_init(lf_dict_copy *c, lf_dict *d) {
  int err = 0;
  c->dict = d;
  lf_dict_state s = begin(d);
  for (uint64_t i = 0; i < s.slots && err == 0; i++)
    if (position_of(*slot_at(&s, i)) > STALE)
      err = copy_slot(d, *slot_at(&s, i), &c->bytes);
  end(d);
  return err;
}

/* Moves behind the next entry, and returns where that begins. */
static const unsigned char *take_entry(lf_dict_copy *c, entry *e) {
  const unsigned char *from = c->bytes.data + c->at;
  memcpy(e, from, sizeof *e);
  c->at += size_of(e);
  return from;
}

void lf_dict_copy_fini(lf_dict_copy *c) {
  while (c->at < c->bytes.len) {
    entry e;
    const unsigned char *from = take_entry(c, &e);
    lf_buf tail = tail_of(from, &e);
    lf_record_undo(&c->dict->shared, &tail);
  }
  lf_buf_fini(&c->bytes);
}

int lf_dict_copy_next(lf_dict_copy *c, lf_buf *key, lf_dict_value *v,
                      lf_annotate *annotate) {
  entry e;
  if (c->at >= c->bytes.len)
    return LF_EAGAIN;
  const unsigned char *from = take_entry(c, &e);
  lf_buf tail = tail_of(from, &e);
  *key = (lf_buf){.data = (unsigned char *)(uintptr_t)(from + sizeof e),
                  .len = e.key,
                  .foreign = true};
  v->kind = (lf_dict_kind)e.kind;
  v->bits = e.bits;
  int err = lf_buf_put(v->values, key->data + e.key, e.record.body);
  err = err ? err : lf_record_open(v->values, &tail, annotate);
  lf_record_undo(&c->dict->shared, &tail);
  return err;
}

void lf_dict_fini(lf_dict *d) {
  lf_dict_state s = begin(d);
  end(d);
  for (uint64_t i = 0; i < s.slots; i++) {
    uint64_t slot = *slot_at(&s, i);
    if (position_of(slot) <= STALE)
      continue;
    entry e = read_entry(slot);
    drop_entry(d, slot, &e);
  }
}
