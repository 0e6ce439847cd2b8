/* SPDX-License-Identifier: MIT
 *
 * Items on their way from a loop's source to its workers: as many as may be
 * ahead of those whose results have been taken. Called by the loop's consumer;
 * 'self' is where the loop is on the stack. All raise. */
#ifndef LFB_POOL_SUPPLY_H
#define LFB_POOL_SUPPLY_H

#include "bindings/pool/loop.h"

/* Has all that the source has been given to the workers? */
static inline bool lfb_loop_is_pulled(const lfb_loop *l) {
  return l->source.known && l->pulled >= l->source.total;
}

/* Will the workers get no more, as that is so, or as the loop has ended? */
bool lfb_loop_is_supplied(const lfb_loop *l);

/* How many items may be pulled now. */
uint64_t lfb_loop_room(const lfb_loop *l);

/* Lets the workers have more items, as many as may be pulled now. */
void lfb_loop_supply(lua_State *L, lfb_loop *l, int self);

/* Lets the workers have all items that are left, whatever there is room for. */
void lfb_loop_supply_rest(lua_State *L, lfb_loop *l, int self);

#endif
