/* SPDX-License-Identifier: MIT
 *
 * The memory that a program and all processes that come from it share: one
 * sparse memfd, mapped by each. It is there from before the first of them, so
 * that what is passed of it are offsets, also to those that were forked long
 * ago. Memory that nobody has read or written is zero and not there. A process
 * can only touch the zones that it has claimed or opened: so that nothing that
 * looks through all of its memory (valgrind does) brings a terabyte into being.
 *
 * It is divided into zones. A process owns those that it has claimed, by
 * compare-and-swap in a table at the beginning, so who is killed leaves it
 * usable. What is in a zone is its owner's business
 * (heap.h). Who starts a process gives it a number under which it owns zones,
 * and inherits them when it has ended.
 *
 * Any thread. */
#ifndef LF_SHM_ARENA_H
#define LF_SHM_ARENA_H

#include "runtime/base/base.h"

#include <stdatomic.h>

enum {
  LF_ZONES = 4096,
  LF_WAITERS_SIZE = 1 << 24, /* bytes of the table of waiters, most of which
                                is never touched */
  LF_REFS_SIZE = 1 << 22,    /* bytes of the table of references */
};

/* Makes it, if there is none. 0 or LF_ENOMEM. */
int lf_arena_open(void);

/* The same, before there are processes that would not share it: if there is
 * none now, there is none from now on. */
void lf_arena_settle(void);

/* The same where address space is limited, before other things take it. */
void lf_arena_reserve(void);

/* In a spawned process: maps the one that is behind the descriptor. */
int lf_arena_adopt(int fd);

/* -1: there is none. It is closed on exec and kept over forks. */
int lf_arena_fd(void);

/* Bytes in all and in a zone; 0: there is none. */
uint64_t lf_arena_size(void);
uint64_t lf_zone_size(void);

/* The memory at an offset. */
void *lf_arena_at(uint64_t offset);

/* The other way round. */
uint64_t lf_arena_offset(const void *memory);

/* LF_WAITERS_SIZE bytes (waiters.h) and LF_REFS_SIZE bytes (refs.h), zero at
 * first, that every process may always touch. */
void *lf_arena_waiters(void);
void *lf_arena_refs(void);

/* A word, zero at first, that says who draws on the terminal (sync/terminal.h);
 * NULL: there is no arena. */
_Atomic uint64_t *lf_arena_terminal(void);

/* Lets this process touch the zones in which the bytes lie. False: the system
 * refuses. */
bool lf_arena_touch(uint64_t at, uint64_t size);

/* Zeroes the bytes and gives back the memory of whole pages. */
void lf_arena_clear(uint64_t at, uint64_t size);

/* --- Zones: the arena is there --- */

/* The first of 'n' zones in a row, which are this process's then, and read
 * zero; -1: there are not so many. */
int lf_zones_claim(uint32_t n);

/* Gives back zones that have been cleared. */
void lf_zones_release(uint32_t first, uint32_t n);

/* Clears one and gives it back. */
void lf_zone_free(uint32_t zone);

/* How many are this process's. */
uint32_t lf_zones_owned(void);

/* A zone that belongs to no process and outlives them (slab.h), reading zero;
 * -1: there is none. */
int lf_zone_claim_common(void);
bool lf_zone_is_common(uint32_t zone);

/* --- Owners --- */

/* A number for a process that this one is about to start; 0: it can own
 * nothing, as there is no arena, or there are too many processes. */
uint32_t lf_owner_new(void);

/* The calling process is the one with the number. */
void lf_owner_be(uint32_t owner);

/* Is the zone this process's? */
bool lf_zone_is_mine(uint32_t zone);

/* Is the process the one with the number (not 0), or come from it? */
bool lf_owner_descends(uint32_t owner, uint32_t from);

/* This process's number; 0: there are too many. */
uint32_t lf_owner_self(void);

/* A number of 31 bits for this process that no other has had which shares the
 * arena (in 16384 lives of its number as an owner). 0: there are too many. */
uint32_t lf_process(void);

/* Has the process with such a number ended, whether it has been reaped or not?
 * Asks the system. */
bool lf_process_is_gone(uint32_t process);

/* A number, not 0, for something in this process that may hold something that
 * is shared: no two are the same in all processes. 0: there are too many. */
uint64_t lf_holder_new(void);

/* Is the holder's process known not to have ended? */
bool lf_holder_lives(uint64_t holder);

/* The zone's owner is the process with the number (not 0), or come from it. */
bool lf_zone_descends(uint32_t zone, uint32_t owner);

/* The process with the number (not 0) has ended, and those come from it are
 * being ended by the system, for which this waits: what they hold is known as
 * abandoned from now on. */
void lf_owner_end(uint32_t owner);

/* After that: their zones are the caller's now. Returns how many, and which. */
uint32_t lf_owner_reap(uint32_t owner, uint16_t zones[LF_ZONES]);

#endif
