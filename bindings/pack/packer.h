/* SPDX-License-Identifier: MIT
 *
 * What is being packed, for the 'pack' of a class (core/class.h): it appends to
 * the stream what its 'unpack' reads again. All of these raise on lack of
 * memory. */
#ifndef LFB_PACK_PACKER_H
#define LFB_PACK_PACKER_H

#include "bindings/pack/reach.h"

typedef struct lfb_packer lfb_packer;

void lfb_packer_put(lfb_packer *P, const void *bytes, size_t n);

/* The address of an object, with a reference that the stream takes over. */
void lfb_packer_put_object(lfb_packer *P, void *object, void (*drop)(void *));

/* How far the stream goes, or NULL. */
const lfb_reach *lfb_packer_reach(const lfb_packer *P);

#endif
