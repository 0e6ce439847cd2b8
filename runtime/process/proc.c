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
  uint64_t next = (c->sent + c->reserved) % LF_SLOTS;
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

lf_flight *lf_flight_new(lf_proc *c, uint32_t *index) {
  if (!c->free_flight) {
    uint32_t n = c->nflights ? 2 * c->nflights : 8;
    lf_flight *more = lf_realloc(c->flights, n * sizeof *more);
    if (!more)
      return NULL;
    c->flights = more;
    for (uint32_t i = n; i-- > c->nflights;) {
      more[i] = (lf_flight){.next = c->free_flight};
      c->free_flight = i + 1;
    }
    c->nflights = n;
  }
  *index = c->free_flight - 1;
  lf_flight *f = &c->flights[*index];
  c->free_flight = f->next;
  c->aloft++;
  f->number++;
  f->begun = false;
  return f;
}

void lf_fleet_finish_flight(lf_proc *c, uint32_t i) {
  lf_flight *f = &c->flights[i];
  if (f->wait)
    lf_far_wait_end(f->wait);
  f->wait = NULL;
  f->task->at = NULL;
  f->task = NULL;
  f->next = c->free_flight;
  c->free_flight = i + 1;
  c->aloft--;
}

lf_flight *lf_fleet_find_flight(lf_proc *c, uint64_t id) {
  uint32_t i = (uint32_t)id;
  if (i >= c->nflights || !c->flights[i].task ||
      c->flights[i].number != (uint32_t)(id >> 32))
    return NULL;
  return &c->flights[i];
}

/* A task of which a part has been written is not taken back if others are to
 * run it ('again'): they need its data. If nobody is, the data is left to the
 * parcel. */
static bool take_back(lf_proc *c, lf_flight *f, bool again) {
  uint32_t word = f->word;
  uint32_t slot = (uint32_t)f->task->slot;
  lf_parcel *parcel = lf_end_parcel(&c->end, f->task);
  if (f->begun || (parcel && parcel->written > 0 && again))
    return false;
  if (parcel && parcel->written == 0) { /* it was the last */
    lf_parcel_withdraw(&c->end, parcel);
    atomic_store(&c->region->slots[slot], f->word ^ LF_SLOT_SENT);
    c->sent--;
    c->left++;
    return true;
  }
  if (parcel && lf_buf_move(&parcel->own, &f->task->data) != 0)
    return false;
  if (atomic_compare_exchange_strong(&c->region->slots[slot], &word,
                                     (f->word & ~3u) | LF_SLOT_BACK))
    return c->left += c->left < UINT64_MAX, true;
  f->begun = true;
  return false;
}

bool lf_fleet_take_back(lf_task *t) {
  lf_proc *c = t->at->proc;
  uint32_t i = (uint32_t)t->flight;
  if (!take_back(c, &c->flights[i], false))
    return false;
  lf_fleet_finish_flight(c, i);
  return true;
}

bool lf_fleet_has_begun(lf_task *t) {
  lf_proc *c = t->at->proc;
  lf_flight *f = &c->flights[(uint32_t)t->flight];
  if (!f->begun)
    f->begun = atomic_load(&c->region->slots[t->slot]) != f->word;
  return f->begun;
}

/* In the order of being sent: by the use of slots. */
static uint64_t order_of(const lf_proc *c, const lf_task *t) {
  uint64_t back = (c->sent - 1 - t->slot) % LF_SLOTS;
  return c->sent - back;
}

static bool is_of(const lf_task *t, const lf_job *job) {
  return lf_runner_of(t) && lf_runner_of(t)->job == job;
}

void lf_fleet_recall(lf_proc *c, lf_recall what, lf_job *job, lf_link *out) {
  lf_link *before = out->prev; /* other workers' */
  for (uint32_t i = 0; i < c->nflights && lf_proc_ahead(c) > 0; i++) {
    lf_task *t = c->flights[i].task;
    bool wanted = t && (what == LF_ALL || (what == LF_MOVABLE && !t->pinned) ||
                        (what == LF_OF_JOB && is_of(t, job)));
    uint64_t order = wanted ? order_of(c, t) : 0;
    if (!wanted || !take_back(c, &c->flights[i], what == LF_MOVABLE))
      continue;
    lf_fleet_finish_flight(c, i);
    t->part_order = order;
    lf_link *at = out->prev; /* nearly sorted: from the end */
    while (at != before &&
           lf_container_of(at, lf_task, link)->part_order > order)
      at = at->prev;
    lf_list_add(at->next, &t->link);
  }
}
