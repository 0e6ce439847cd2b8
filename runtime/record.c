/* SPDX-License-Identifier: MIT
 *
 * See record.h. */
#include "record.h"

#include "arena.h"
#include "code.h"

/* One reference, in the tail; code has its label and bytes behind it. */
typedef struct {
  uint64_t at; /* in the values, or LF_NOWHERE */
  uint64_t len;
  void *object; /* of this process; NULL: code */
  void (*drop)(void *object);
} entry;

static bool is_code(const struct lf_ref *ref) {
  return ref->drop == lf_code_unref;
}

static int put_code(lf_buf *tail, const struct lf_ref *ref) {
  const lf_code *c = ref->object;
  entry e = {ref->at, c->len, NULL, NULL};
  int err = lf_buf_put(tail, &e, sizeof e);
  err = err ? err : lf_buf_put(tail, c->label, sizeof c->label);
  return err ? err : lf_buf_put(tail, c->bytes, c->len);
}

int lf_record_make(lf_record *r, const lf_buf *values, lf_buf *tail) {
  *r = (lf_record){.body = values->len};
  int err = 0;
  for (size_t i = 0; values->refs && i < values->refs->n && err == 0; i++) {
    const struct lf_ref *ref = &values->refs->v[i];
    entry e = {ref->at, 0, ref->object, ref->drop};
    err = is_code(ref) ? put_code(tail, ref) : lf_buf_put(tail, &e, sizeof e);
    if (!is_code(ref))
      r->process = lf_process();
  }
  r->tail = tail->len;
  return err;
}

void lf_record_keep(lf_buf *values) {
  for (size_t i = 0; values->refs && i < values->refs->n; i++)
    if (is_code(&values->refs->v[i]))
      lf_code_unref(values->refs->v[i].object);
  if (values->refs)
    values->refs->n = 0;
}

bool lf_record_is_ours(const lf_record *r) {
  return r->process == 0 || r->process == lf_process();
}

/* The entry at '*at', which is moved behind it with its bytes. */
static entry next_entry(const lf_buf *tail, size_t *at,
                        const unsigned char **bytes) {
  entry e;
  memcpy(&e, tail->data + *at, sizeof e);
  *bytes = tail->data + *at + sizeof e;
  *at += sizeof e + (e.object ? 0 : sizeof((lf_code *)0)->label + e.len);
  return e;
}

/* The code with the label and bytes, with a reference. */
static lf_code *get_code(const entry *e, const unsigned char *bytes,
                         void *(*annotate)(const void *bytes, size_t len)) {
  char label[sizeof((lf_code *)0)->label];
  memcpy(label, bytes, sizeof label);
  label[sizeof label - 1] = '\0';
  return lf_code_get(bytes + sizeof label, e->len, label, annotate);
}

int lf_record_open(const lf_record *r, lf_buf *values, const lf_buf *tail,
                   void *(*annotate)(const void *bytes, size_t len)) {
  const unsigned char *bytes;
  int err = 0;
  for (size_t at = 0; at < r->tail;) {
    entry e = next_entry(tail, &at, &bytes);
    void (*drop)(void *) = e.object ? e.drop : lf_code_unref;
    void *object = e.object;
    if (!object && err == 0)
      object = get_code(&e, bytes, annotate);
    if (object && e.at != LF_NOWHERE)
      memcpy(values->data + e.at, &object, sizeof object);
    if (!object || lf_buf_ref(values, (size_t)e.at, object, drop) != 0) {
      if (object)
        drop(object);
      err = LF_ENOMEM;
    }
  }
  return err;
}

void lf_record_drop(const lf_record *r, const lf_buf *tail) {
  const unsigned char *bytes;
  for (size_t at = 0; at < r->tail;) {
    entry e = next_entry(tail, &at, &bytes);
    if (e.object)
      e.drop(e.object);
  }
}
