/* SPDX-License-Identifier: MIT
 *
 * References to roots (array.h) that no message carries: those of items in
 * queues and dictionaries, which no process has for as long as they lie there,
 * and those of processes that have taken such an item. A ledger in the arena
 * counts both, by the root's offset. Who owns the memory keeps it while there
 * is an entry. Under a latch; what a killed process leaves there keeps memory
 * too long, never too short. Any thread. */
#ifndef LF_GUEST_H
#define LF_GUEST_H

#include "base.h"

/* Whose reference: an item's, or this process's. */
typedef enum { LF_GUEST_ITEM, LF_GUEST_HERE } lf_guest;

/* One more. False: the ledger is full. */
bool lf_guest_add(uint64_t at, lf_guest whose);

/* One less. */
void lf_guest_del(uint64_t at, lf_guest whose);

/* Has the root any? A root in the zone? */
bool lf_guest_at(uint64_t at);
bool lf_guest_in(uint32_t zone);

/* The process with the number, and those come from it, have ended. */
void lf_guests_bury(uint32_t owner);

#endif
