/* SPDX-License-Identifier: MIT
 *
 * A runtime whose allocations fail on demand, also in builds without debug, for
 * tests that are linked with $(failing_memory) (Makefile.am). One thread's. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* From now on the n-th allocation fails, and no other; 0: none does. */
void memory_fail_at(size_t n);

/* Has it? */
bool memory_has_failed(void);

/* Blocks alive. */
long memory_blocks(void);

/* Does 'attempt(arg)' with the first, the second, ... allocation failing, until
 * there are no more of them. It returns whether it has succeeded, and leaves no
 * blocks behind. Returns how many attempts have failed; -1: one has left some,
 * or has failed although there was memory. */
int memory_fail_each(bool (*attempt)(void *arg), void *arg);

#endif
