/* SPDX-License-Identifier: MIT
 *
 * Loops over C functions, whose chunks need no interpreter. */
#ifndef LFB_NATIVE_CHUNK_H
#define LFB_NATIVE_CHUNK_H

#include "bindings/run/run.h"

#include "runtime/pool/loop.h"

/* A chunk of a loop over a C function: runs its items, or the first of them,
 * until one needs an interpreter. */
void lfb_native_chunk(struct lf_vm *vm, const lf_loop *loop, lf_chunk *chunk);

#endif
