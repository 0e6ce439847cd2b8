/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C for the workers of a pool. A signal that comes just before a system
 * call is lost, so there have to be more, as long as a worker is in the same
 * task. */
#ifndef LF_POOL_INTERRUPT_H
#define LF_POOL_INTERRUPT_H

#include "runtime/pool/pool.h"

/* As lf_pool_interrupt, and reminds the workers for some seconds. Does not
 * wait. */
void lf_pool_interrupt_all(lf_pool *pool);

#endif
