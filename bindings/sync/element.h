/* SPDX-License-Identifier: MIT
 *
 * Elements of arrays from and to Lua. Strict: what C would convert silently is
 * refused. Others may write the same element meanwhile: it has either value. */
#ifndef LFB_SYNC_ELEMENT_H
#define LFB_SYNC_ELEMENT_H

#include "bindings/engine/compat.h"

#include "runtime/shm/array.h"

/* The type whose name is at 'idx', or an argument error. */
lf_element lfb_check_element_type(lua_State *L, int idx);

/* The i-th element, counted from 0. */
void lfb_push_element(lua_State *L, const lf_array *array, size_t i);

/* The same as a number in C: of the integer types, of the others. */
lua_Integer lfb_integer_element(const lf_array *array, size_t i);
lua_Number lfb_float_element(const lf_array *array, size_t i);

/* The value at 'idx' as the bits of such an element, in the lowest bytes.
 * False: it does not fit, and why is at the top. */
bool lfb_take_element(lua_State *L, int idx, lf_element type, uint64_t *bits);

void lfb_store_element(lf_array *array, size_t i, uint64_t bits);

/* Sets 'n' elements from the i-th on. */
void lfb_fill_elements(lf_array *array, size_t i, size_t n, uint64_t bits);

/* Stores 'new' if the element is equal to 'old', in one step. */
bool lfb_exchange_element(lf_array *array, size_t i, uint64_t old,
                          uint64_t new);

/* Adds to an integer in one step, and pushes what it was. */
void lfb_add_element(lua_State *L, lf_array *array, size_t i, uint64_t bits);

#endif
