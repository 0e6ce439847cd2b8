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
  return !c->stopping && !c->signal && c->left > c->reserved &&
         lf_list_empty(&c->end.parcels) && has_slot(c);
}

bool lf_proc_can_receive(const lf_proc *c) {
  return c && c->ready && lf_proc_has_room(c);
}

bool lf_proc_can_take(const lf_proc *c) {
  return lf_proc_can_receive(c) && !c->blocked;
}

/* --- Tasks that were sent --- */

static _Atomic uint32_t *slot_of(const lf_flight *f) {
  return &f->proc->region->slots[f->number % LF_SLOTS];
}

/* What its slot's word is in that state. */
static uint32_t word_of(const lf_flight *f, lf_slot state) {
  return (uint32_t)(f->number / LF_SLOTS + 1) << 2 | state;
}

static void land(lf_flight *f) {
  lf_list_del(&f->link);
  lf_list_add(&f->proc->landed, &f->link);
}

lf_flight *lf_flight_new(lf_proc *c, lf_task *t) {
  lf_link *l = lf_list_pop(&c->landed);
  lf_flight *f = l ? lf_container_of(l, lf_flight, link) : lf_malloc(sizeof *f);
  if (!f)
    return NULL;
  *f = (lf_flight){.task = t, .proc = c, .number = c->sent + 1};
  lf_list_add(&c->in_flight, &f->link);
  if (lf_table_add(&c->flights, f->number, f) != 0) {
    land(f);
    return NULL;
  }
  t->far.record = f;
  atomic_store(slot_of(f), word_of(f, LF_SLOT_SENT));
  return f;
}

void lf_flight_undo(lf_flight *f) {
  atomic_store(slot_of(f), word_of(f, LF_SLOT_FREE));
  lf_fleet_finish_flight(f);
}

void lf_fleet_finish_flight(lf_flight *f) {
  if (f->wait)
    lf_far_wait_end(f->wait);
  f->wait = NULL;
  f->task->far.record = NULL;
  lf_table_del(&f->proc->flights, f->number);
  land(f);
}

lf_flight *lf_fleet_find_flight(lf_proc *c, uint64_t id) {
  lf_entry *e = id ? lf_table_find(&c->flights, id) : NULL;
  return e ? e->value : NULL;
}

/* A task of which a part has been written is not taken back if others are to
 * run it ('again'): they need its data. If nobody is, the data is left to the
 * parcel. */
static bool take_back(lf_flight *f, bool again) {
  lf_proc *c = f->proc;
  uint32_t word = word_of(f, LF_SLOT_SENT);
  lf_parcel *parcel = lf_end_parcel(&c->end, f->task);
  if (f->begun || (parcel && parcel->written > 0 && again))
    return false;
  if (parcel && parcel->written == 0) { /* it was the last */
    lf_parcel_withdraw(&c->end, parcel);
    lf_flight_undo(f);
    c->sent--;
    c->left++;
    return true;
  }
  if (parcel && lf_buf_move(&parcel->own, &f->task->data) != 0)
    return false;
  f->begun = !atomic_compare_exchange_strong(slot_of(f), &word,
                                             word_of(f, LF_SLOT_BACK));
  if (f->begun)
    return false;
  c->left += c->left < UINT64_MAX;
  lf_fleet_finish_flight(f);
  return true;
}

bool lf_fleet_take_back(lf_flight *f) {
  return take_back(f, false);
}

bool lf_fleet_has_begun(lf_flight *f) {
  if (!f->begun)
    f->begun = atomic_load(slot_of(f)) != word_of(f, LF_SLOT_SENT);
  return f->begun;
}

bool lf_flight_is_movable(const lf_flight *f) {
  return !f->begun && !f->task->pinned &&
         atomic_load(slot_of(f)) == word_of(f, LF_SLOT_SENT);
}

static bool is_meant(lf_task *t, lf_recall what, const lf_job *job) {
  const lf_runner *runner = what == LF_OF_JOB ? lf_runner_of(t) : NULL;
  return what == LF_ALL || (what == LF_MOVABLE && !t->pinned) ||
         (runner && runner->job == job);
}

void lf_fleet_recall(lf_proc *c, lf_recall what, lf_job *job, lf_link *out) {
  lf_flight *f;
  if (lf_proc_ahead(c) == 0)
    return;
  EACH_FLIGHT(f, c) {
    lf_task *t = f->task;
    if (is_meant(t, what, job) && take_back(f, what == LF_MOVABLE))
      lf_list_add(out, &t->link);
  }
}
