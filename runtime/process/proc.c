/* SPDX-License-Identifier: MIT
 *
 * A worker process as the program sees it: the tasks that were sent to it, and
 * how they are taken back. See internal.h. */
#include "runtime/process/internal.h"

#include "runtime/base/mem.h"

static lf_slot slot_state(uint32_t word) {
  return word & 3;
}

static bool has_slot(const lf_proc *c) {
  uint64_t next = (c->sent + 1 + c->reserved) % LF_SLOTS;
  lf_slot s = slot_state(atomic_load(&c->region->slots[next]));
  return c->reserved < LF_SLOTS / 2 &&
         (s == LF_SLOT_FREE || s == LF_SLOT_BEGUN);
}

bool lf_proc_has_room(const lf_proc *c) {
  return c->left > c->reserved && lf_list_empty(&c->end.parcels) && has_slot(c);
}

lf_proc_state lf_proc_look(const lf_proc *c) {
  if (c->stopping || c->signal)
    return LF_PROC_LEAVING;
  if (c->blocked)
    return c->wants ? LF_PROC_WANTING : LF_PROC_BLOCKED;
  if (!c->ready)
    return LF_PROC_STARTING;
  if (c->left == 0)
    return LF_PROC_SPENT;
  if (!lf_proc_has_room(c))
    return LF_PROC_FULL;
  return lf_proc_is_occupied(c) ? LF_PROC_BUSY : LF_PROC_FREE;
}

/* --- Tasks that were sent --- */

static _Atomic uint32_t *slot_of(const lf_in_flight *f) {
  return &f->proc->region->slots[f->number % LF_SLOTS];
}

/* What its slot's word is in that state. */
static uint32_t word_of(const lf_in_flight *f, lf_slot state) {
  return (uint32_t)(f->number / LF_SLOTS + 1) << 2 | state;
}

static void land(lf_in_flight *f) {
  f->task = NULL;
  lf_list_del(&f->link);
  lf_list_add(&f->proc->landed, &f->link);
}

/* One more. False: no memory. */
static bool add_flight(lf_proc *c) {
  uint32_t n = c->nflights;
  if ((n & (n + 1)) == 0) { /* 0, 1, 3, 7, ...: full */
    lf_in_flight **more = lf_realloc(c->flights, 2 * (n + 1) * sizeof *more);
    if (!more)
      return false;
    c->flights = more;
  }
  lf_in_flight *f = lf_zalloc(sizeof *f);
  if (!f)
    return false;
  f->proc = c;
  f->index = c->nflights++;
  c->flights[f->index] = f;
  lf_list_init(&f->link);
  land(f);
  return true;
}

lf_in_flight *lf_in_flight_new(lf_proc *c, lf_task *t) {
  if (lf_list_empty(&c->landed) && !add_flight(c))
    return NULL;
  lf_in_flight *f =
      lf_container_of(lf_list_pop(&c->landed), lf_in_flight, link);
  f->task = t;
  f->number = c->sent + 1;
  lf_list_add(&c->in_flight, &f->link);
  t->far.carrier = f;
  t->stage = LF_STAGE_SENT;
  atomic_store(slot_of(f), word_of(f, LF_SLOT_SENT));
  return f;
}

/* Never 0; the number's low bits say the slot (ring.h). */
uint64_t lf_in_flight_id(const lf_in_flight *f) {
  return (uint64_t)(f->index + 1) << 32 | (uint32_t)f->number;
}

lf_in_flight *lf_proc_find(lf_proc *c, uint64_t id) {
  uint32_t i = (uint32_t)(id >> 32) - 1; /* 0: beyond all */
  lf_in_flight *f = i < c->nflights ? c->flights[i] : NULL;
  return f && f->task && (uint32_t)f->number == (uint32_t)id ? f : NULL;
}

void lf_in_flight_undo(lf_in_flight *f) {
  atomic_store(slot_of(f), word_of(f, LF_SLOT_FREE));
  lf_proc_finish_flight(f);
}

void lf_in_flight_end_wait(lf_in_flight *f) {
  if (f->wait)
    lf_far_wait_end(f->wait);
  f->wait = NULL;
}

void lf_proc_finish_flight(lf_in_flight *f) {
  lf_in_flight_end_wait(f);
  f->task->far.carrier = NULL;
  f->task->stage = LF_STAGE_QUEUED;
  land(f);
}

/* A task of which a part has been written is not taken back if others are to
 * run it ('again'): they need its data. If nobody is, the data is left to the
 * parcel. */
static bool take_back(lf_in_flight *f, bool again) {
  lf_proc *c = f->proc;
  uint32_t word = word_of(f, LF_SLOT_SENT);
  lf_parcel *parcel = lf_channel_parcel(&c->end, f->task);
  if (f->task->stage == LF_STAGE_BEGUN ||
      (parcel && parcel->written > 0 && again))
    return false;
  if (parcel && parcel->written == 0) { /* it was the last */
    lf_parcel_withdraw(&c->end, parcel);
    lf_in_flight_undo(f);
    c->sent--;
    c->left++;
    return true;
  }
  if (parcel && lf_buf_move(&parcel->own, &f->task->data) != 0)
    return false;
  if (!atomic_compare_exchange_strong(slot_of(f), &word,
                                      word_of(f, LF_SLOT_BACK))) {
    f->task->stage = LF_STAGE_BEGUN;
    return false;
  }
  c->left += c->left < UINT64_MAX;
  lf_proc_finish_flight(f);
  return true;
}

bool lf_proc_take_back(lf_in_flight *f) {
  return take_back(f, false);
}

bool lf_proc_has_begun(lf_task *t) {
  const lf_in_flight *f = t->stage == LF_STAGE_SENT ? t->far.carrier : NULL;
  if (f && atomic_load(slot_of(f)) != word_of(f, LF_SLOT_SENT))
    t->stage = LF_STAGE_BEGUN;
  return t->stage == LF_STAGE_BEGUN;
}

bool lf_in_flight_is_movable(const lf_in_flight *f) {
  return f->task->stage == LF_STAGE_SENT && !f->task->pinned &&
         atomic_load(slot_of(f)) == word_of(f, LF_SLOT_SENT);
}

static bool is_meant(lf_task *t, const lf_recall *r) {
  switch (r->what) {
  case LF_MOVABLE:
    return !t->pinned;
  case LF_LOWER:
    return !t->pinned && lf_task_priority(t) < r->priority;
  case LF_OF_LOOP:
    return lf_runner_of(t) && lf_runner_of(t)->loop == r->loop;
  default:
    return true;
  }
}

void lf_proc_recall(lf_proc *c, const lf_recall *r, lf_link *out) {
  bool again = r->what == LF_MOVABLE || r->what == LF_LOWER;
  lf_in_flight *f;
  if (lf_proc_ahead(c) == 0)
    return;
  EACH_FLIGHT(f, c) {
    lf_task *t = f->task;
    if (is_meant(t, r) && take_back(f, again))
      lf_list_add(out, &t->link);
  }
}
