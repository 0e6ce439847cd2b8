/* SPDX-License-Identifier: MIT
 *
 * Constant expressions of C: integers with their types, as int, long and their
 * unsigned kinds. Signed overflow is refused, but not by a shift to the left
 * (1 << 31 is what compilers make of it). Any thread. */
#ifndef LF_CDECL_EXPR_H
#define LF_CDECL_EXPR_H

#include "runtime/cdecl/lex.h"
#include "runtime/cdecl/type.h"

typedef struct {
  uint64_t bits; /* one of 32 bits: extended by its sign, or by zeros */
  bool is_unsigned;
  bool is_wide; /* 64 bits */
} lf_cinteger;

/* What names mean where the expression stands. */
typedef struct {
  /* False: there is no such constant. */
  bool (*constant)(void *user, const lf_ctoken *name, lf_cinteger *value);
  /* Does it begin the name of a type? */
  bool (*begins_type)(void *user, const lf_ctoken *tok);
  /* Reads one; never NULL. */
  const lf_ctype *(*type)(void *user);
} lf_cscope;

/* Reads one up to the first token that does not belong to it, with complaints
 * to the lexer, after which the value means nothing. */
lf_cinteger lf_cexpr_read(lf_clex *x, const lf_cscope *scope, void *user);

static inline bool lf_cinteger_negative(const lf_cinteger *v) {
  return !v->is_unsigned && (int64_t)v->bits < 0;
}

#endif
