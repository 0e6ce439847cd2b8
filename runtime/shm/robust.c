/* SPDX-License-Identifier: MIT
 *
 * See robust.h. */
#include "runtime/shm/robust.h"

#include "runtime/os/clock.h"
#include "runtime/os/spin.h"
#include "runtime/os/thread.h"

enum {
  SPINS = 200,
  PATIENCE = 10000000 /* ns until the holder is looked for */
};

/* A futex's word as in Drepper, "Futexes Are Tricky" (2011), mutex2: who has
 * slept takes it as one for which others may sleep. */
static bool try(lf_robust *l, uint32_t before, uint32_t after) {
  return atomic_load_explicit(&l->word, memory_order_relaxed) == before &&
         atomic_compare_exchange_strong(&l->word, &before, after);
}

bool lf_robust_take_slowly(lf_robust *l, uint32_t me) {
  for (int i = 0; i < SPINS; i++) {
    if (try(l, 0, me))
      return false;
    lf_relax();
  }
  int64_t patience = lf_now() + PATIENCE;
  for (;;) {
    if (try(l, 0, me | LF_LATCH_WAITED))
      return false;
    uint32_t word = atomic_load(&l->word), holder = word & ~LF_LATCH_WAITED;
    uint32_t waited = holder | LF_LATCH_WAITED;
    if (holder == 0 || (word != waited && !try(l, word, waited)))
      continue;
    lf_futex_wait(&l->word, waited, patience);
    if (lf_now() < patience)
      continue;
    patience = lf_now() + PATIENCE;
    if (holder != me && lf_process_is_gone(holder) &&
        try(l, waited, me | LF_LATCH_WAITED))
      return true;
  }
}

void lf_robust_wake(lf_robust *l) {
  lf_futex_wake(&l->word);
}
