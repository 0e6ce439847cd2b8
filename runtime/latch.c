/* SPDX-License-Identifier: MIT
 *
 * See latch.h. */
#include "latch.h"

#include "thread.h"

enum {
  SPINS = 200,
  PATIENCE = 10000000 /* ns until the holder is looked for */
};

static bool try(lf_latch *l, uint32_t holder, uint32_t me) {
  return atomic_load_explicit(&l->holder, memory_order_relaxed) == holder &&
         atomic_compare_exchange_strong(&l->holder, &holder, me);
}

bool lf_latch_take_slowly(lf_latch *l, uint32_t me) {
  for (int i = 0; i < SPINS; i++) {
    if (try(l, 0, me))
      return false;
    lf_relax();
  }
  for (;;) {
    atomic_store(&l->waited, 1);
    uint32_t holder = atomic_load(&l->holder);
    if (holder == 0) {
      if (try(l, 0, me))
        return false;
      continue;
    }
    if (lf_futex_wait(&l->holder, holder, lf_now() + PATIENCE) == LF_ETIMEOUT &&
        holder != me && lf_process_is_gone(holder) && try(l, holder, me))
      return true;
  }
}

void lf_latch_wake(lf_latch *l) {
  atomic_store(&l->waited, 0);
  lf_futex_wake_all(&l->holder);
}
