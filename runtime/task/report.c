/* SPDX-License-Identifier: MIT
 *
 * See report.h. A task has a note of what it has said last, which is never
 * changed but exchanged; who reads it holds the one lock, so that it stays. */
#include "runtime/task/report.h"

#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"

#include <string.h>

struct lf_note {
  uint64_t number; /* 0: it has said nothing */
  lf_ran ran;      /* begun: 0: nothing is known of it */
  double fraction;
  bool has_text;
  size_t len;
  char text[];
};

LF_FORK_MUTEX(lock, LF_FORK_REPORTS, NULL);

static _Atomic uint64_t last; /* number */

void lf_report_init(lf_report *r, double fraction, const char *text,
                    size_t len) {
  r->number = 0;
  r->fraction = fraction > 0 ? (fraction < 1 ? fraction : 1) : 0;
  r->has_text = text != NULL;
  r->len = text ? len : 0;
  if (r->len > LF_REPORT_TEXT) {
    r->len = LF_REPORT_TEXT;
    while (r->len > LF_REPORT_TEXT - 4 && (text[r->len] & 0xC0) == 0x80)
      r->len--;
  }
  if (r->len > 0)
    memcpy(r->text, text, r->len);
}

int lf_report_put(lf_buf *out, const lf_report *r) {
  unsigned char has_text = r->has_text;
  int err = lf_buf_put(out, &r->fraction, sizeof r->fraction);
  err = err ? err : lf_buf_put(out, &has_text, 1);
  return err ? err : lf_buf_put(out, r->text, r->len);
}

bool lf_report_get(const lf_buf *bytes, lf_report *r) {
  double fraction;
  size_t head = sizeof fraction + 1;
  if (bytes->len < head)
    return false;
  memcpy(&fraction, bytes->data, sizeof fraction);
  const char *text = (const char *)bytes->data + head;
  lf_report_init(r, fraction, text[-1] ? text : NULL, bytes->len - head);
  return true;
}

/* Under the lock. */
static struct lf_note *note_of(const lf_task *t) {
  int64_t told = atomic_load(&t->told);
  return told & 1 ? NULL : (struct lf_note *)(intptr_t)told;
}

static void exchange(lf_task *t, struct lf_note *note) {
  pthread_mutex_lock(&lock);
  struct lf_note *former = note_of(t);
  if (former || note)
    atomic_store(&t->told, (int64_t)(intptr_t)note);
  pthread_mutex_unlock(&lock);
  lf_free(former);
}

/* One with what is said (NULL: nothing). NULL: no memory. */
static struct lf_note *note_new(const lf_report *r) {
  size_t len = r ? r->len : 0;
  struct lf_note *note = lf_zalloc(sizeof *note + len);
  if (!note || !r)
    return note;
  note->number = r->number;
  note->fraction = r->fraction;
  note->has_text = r->has_text;
  note->len = len;
  memcpy(note->text, r->text, len);
  return note;
}

int lf_task_report(lf_task *t, const lf_report *r) {
  struct lf_note *note = note_new(r);
  if (!note)
    return LF_ENOMEM;
  note->number = atomic_fetch_add(&last, 1) + 1;
  exchange(t, note);
  return 0;
}

bool lf_task_progress(lf_task *t, lf_report *r) {
  pthread_mutex_lock(&lock);
  const struct lf_note *note = note_of(t);
  bool said = note && note->number;
  if (said) {
    r->number = note->number;
    r->fraction = note->fraction;
    r->has_text = note->has_text;
    r->len = note->len;
    memcpy(r->text, note->text, note->len);
  }
  pthread_mutex_unlock(&lock);
  return said;
}

int lf_task_note_run(lf_task *t, const lf_ran *ran) {
  lf_report said;
  struct lf_note *note = note_new(lf_task_progress(t, &said) ? &said : NULL);
  if (!note)
    return LF_ENOMEM;
  note->ran = *ran;
  exchange(t, note);
  return 0;
}

bool lf_task_ran(lf_task *t, lf_ran *ran) {
  pthread_mutex_lock(&lock);
  const struct lf_note *note = note_of(t);
  if (note)
    *ran = note->ran;
  pthread_mutex_unlock(&lock);
  return note && ran->begun;
}

uint64_t lf_reports(void) {
  return atomic_load(&last);
}

void lf_task_unreport(lf_task *t) {
  exchange(t, NULL);
}
