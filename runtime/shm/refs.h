/* SPDX-License-Identifier: MIT
 *
 * References to roots (array.h) that no message carries: those of items in
 * queues and the like, which no process has for as long as they lie there, and
 * those of processes that have taken such an item. A table in the arena
 * counts both, by the root's offset. Who owns the memory keeps it while there
 * is an entry. Under a robust lock; what a killed process leaves there keeps
 * memory too long, never too short. Any thread. */
#ifndef LF_SHM_REFS_H
#define LF_SHM_REFS_H

#include "runtime/base/base.h"

/* Whose reference: the calling process's, or else that of items of the object
 * that lies at this offset. */
#define LF_REFS_HERE ((uint64_t)0)

/* One more. False: the table of references is full. */
bool lf_refs_add(uint64_t at, uint64_t whose);

/* One less. */
void lf_refs_del(uint64_t at, uint64_t whose);

/* Has the root any? */
bool lf_refs_place(uint64_t at);

/* The zone is about to be freed: the objects in it that nobody has any more
 * have no items. Is there a root in it that still has references? */
bool lf_refs_in(uint32_t zone);

/* The process with the number, and those come from it, have ended. */
void lf_refs_reap(uint32_t owner);

#endif
