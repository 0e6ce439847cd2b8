/* SPDX-License-Identifier: MIT
 *
 * See record.h. */
#include "runtime/sync/record.h"

#include "runtime/shm/arena.h"

/* One reference, in the tail. */
typedef struct {
  enum { CODE, ARRAY, LOCAL } what;
  uint64_t at;   /* in the values, or LF_NOWHERE */
  uint64_t code; /* bytes of code, behind this with their label */
  void *object;  /* a local one */
  void (*drop)(void *object);
  lf_array_name array;
} entry;

enum { LABEL = sizeof((lf_code *)0)->label };

/* --- Checks --- */

/* Another for every other value of one of the fields. */
static uint64_t check_of(const lf_record *r) {
  const uint64_t factor = 0x9e3779b97f4a7c15u; /* odd: no two get the same */
  uint64_t h = (r->body + 1) * factor;
  h = ((h ^ h >> 32 ^ r->tail) + 1) * factor;
  h = ((h ^ h >> 32 ^ r->process) + 1) * factor;
  return (h ^ h >> 32 ^ r->hash) * factor;
}

static uint64_t hash_of(const lf_buf *tail) {
  return tail->len > 0 ? lf_hash(tail->data, tail->len) : 0;
}

bool lf_record_is_whole(const lf_record *r) {
  return r->check == check_of(r);
}

bool lf_record_has_tail(const lf_record *r, const lf_buf *tail) {
  return r->tail == tail->len && r->hash == hash_of(tail);
}

/* --- Making --- */

static int put_code(lf_buf *tail, entry *e, const lf_code *c) {
  e->code = c->len;
  int err = lf_buf_put(tail, e, sizeof *e);
  err = err ? err : lf_buf_put(tail, c->label, LABEL);
  return err ? err : lf_buf_put(tail, c->bytes, c->len);
}

static int put_entry(lf_shared *object, lf_record *r, lf_buf *tail,
                     const struct lf_ref *ref) {
  entry e = {.what = LOCAL, .at = ref->at};
  if (ref->drop == lf_code_unref) {
    e.what = CODE;
    return put_code(tail, &e, ref->object);
  }
  if (ref->drop == lf_array_unref) {
    e.what = ARRAY;
    if (!lf_array_deposit(ref->object, object, &e.array))
      return LF_ENOMEM;
    int err = lf_buf_put(tail, &e, sizeof e);
    if (err)
      lf_array_discard(&e.array, object);
    return err;
  }
  e.object = ref->object;
  e.drop = ref->drop;
  r->process = lf_process();
  return r->process ? lf_buf_put(tail, &e, sizeof e) : LF_ENOMEM;
}

int lf_record_make(lf_shared *object, lf_record *r, const lf_buf *values,
                   lf_buf *tail) {
  *r = (lf_record){.body = values->len};
  size_t n = values->refs ? values->refs->n : 0;
  for (size_t i = 0; i < n; i++) {
    size_t before = tail->len;
    if (put_entry(object, r, tail, &values->refs->v[i]) != 0) {
      lf_buf_cut(tail, before);
      lf_record_undo(object, tail);
      return LF_ENOMEM;
    }
  }
  r->tail = tail->len;
  r->hash = hash_of(tail);
  r->check = check_of(r);
  return 0;
}

void lf_record_keep(lf_buf *values) {
  for (size_t i = 0; values->refs && i < values->refs->n; i++) {
    const struct lf_ref *ref = &values->refs->v[i];
    if (ref->drop == lf_code_unref || ref->drop == lf_array_unref)
      ref->drop(ref->object);
  }
  if (values->refs)
    values->refs->n = 0;
}

bool lf_record_write(lf_shared *object, lf_position *at, const lf_record *r,
                     const lf_buf *values, const lf_buf *tail) {
  return lf_stream_write(object, at, r, sizeof *r) &&
         lf_stream_write(object, at, values->data, r->body) &&
         lf_stream_write(object, at, tail->data, r->tail);
}

/* --- Reading --- */

int lf_record_read(lf_position *at, lf_record *r, lf_buf *values,
                   lf_buf *tail) {
  lf_position begin = *at;
  lf_stream_read(at, r, sizeof *r);
  if (!lf_record_is_whole(r)) {
    *at = begin;
    return LF_EDAMAGED;
  }
  if (!lf_record_is_ours(r))
    return LF_EFOREIGN;
  int err = lf_stream_append(at, values, r->body);
  err = err ? err : lf_stream_append(at, tail, r->tail);
  if (err == LF_EDAMAGED)
    *at = begin;
  return err == 0 && !lf_record_has_tail(r, tail) ? LF_EDAMAGED : err;
}

/* The entry at '*at', which is moved behind it with its bytes. */
static entry next_entry(const lf_buf *tail, size_t *at,
                        const unsigned char **bytes) {
  entry e;
  memcpy(&e, tail->data + *at, sizeof e);
  *bytes = tail->data + *at + sizeof e;
  *at += sizeof e + (e.what == CODE ? LABEL + e.code : 0);
  return e;
}

int lf_record_pin(const lf_shared *object, const lf_buf *tail) {
  const unsigned char *bytes;
  for (size_t at = 0; at < tail->len;) {
    lf_buf before = {.data = tail->data, .len = at};
    entry e = next_entry(tail, &at, &bytes);
    if (e.what == ARRAY && !lf_array_pin(&e.array, object)) {
      lf_record_undo(object, &before);
      return LF_ENOMEM;
    }
  }
  return 0;
}

void lf_record_undo(const lf_shared *object, const lf_buf *tail) {
  const unsigned char *bytes;
  for (size_t at = 0; at < tail->len;) {
    entry e = next_entry(tail, &at, &bytes);
    if (e.what == ARRAY)
      lf_array_discard(&e.array, object);
  }
}

bool lf_record_is_ours(const lf_record *r) {
  return r->process == 0 || r->process == lf_process();
}

/* The code with the label and bytes, with a reference. */
static lf_code *get_code(const entry *e, const unsigned char *bytes,
                         lf_annotate *annotate) {
  char label[LABEL];
  memcpy(label, bytes, sizeof label);
  label[sizeof label - 1] = '\0';
  return lf_code_get(bytes + LABEL, e->code, label, annotate);
}

/* What the entry refers to, with a reference, and how to drop that. */
static void *open_entry(entry *e, const unsigned char *bytes,
                        lf_annotate *annotate) {
  if (e->what == LOCAL)
    return e->object;
  e->drop = e->what == CODE ? lf_code_unref : lf_array_unref;
  if (e->what == CODE)
    return get_code(e, bytes, annotate);
  return lf_array_collect(&e->array);
}

int lf_record_open(lf_buf *values, const lf_buf *tail, lf_annotate *annotate) {
  const unsigned char *bytes;
  int err = 0;
  values->foreign = true;
  for (size_t at = 0; at < tail->len;) {
    entry e = next_entry(tail, &at, &bytes);
    void *object = open_entry(&e, bytes, annotate);
    if (object && e.at != LF_NOWHERE)
      memcpy(values->data + e.at, &object, sizeof object);
    if (object && lf_buf_ref(values, (size_t)e.at, object, e.drop) == 0)
      continue;
    if (object)
      e.drop(object);
    err = LF_ENOMEM;
  }
  return err;
}

void lf_record_drop(const lf_shared *object, const lf_record *r,
                    const lf_buf *tail, bool taken) {
  const unsigned char *bytes;
  for (size_t at = 0; at < tail->len;) {
    entry e = next_entry(tail, &at, &bytes);
    if (e.what == ARRAY)
      lf_array_discard(&e.array, object);
    else if (e.what == LOCAL && !taken && lf_record_is_ours(r))
      e.drop(e.object);
  }
}

void lf_record_discard(const lf_shared *object, const lf_record *r,
                       lf_position at) {
  lf_buf tail = {0};
  lf_stream_read(&at, NULL, r->body);
  if (lf_stream_append(&at, &tail, r->tail) == 0 &&
      lf_record_has_tail(r, &tail))
    lf_record_drop(object, r, &tail, false);
  lf_buf_fini(&tail);
}
