/* SPDX-License-Identifier: MIT
 *
 * What is being unpacked, for the 'unpack' of a class (core/class.h), which
 * reads what its 'pack' has appended. All of these raise TransferError for what
 * cannot be. */
#ifndef LFB_PACK_UNPACKER_H
#define LFB_PACK_UNPACKER_H

#include "bindings/core/state.h"

typedef struct lfb_unpacker lfb_unpacker;

void lfb_unpacker_get(lfb_unpacker *U, void *bytes, size_t n);

/* An object that 'drop' drops; borrowed. */
void *lfb_unpacker_get_object(lfb_unpacker *U, void (*drop)(void *object));

_Noreturn void lfb_unpacker_refuse(lfb_unpacker *U);

#endif
