/* SPDX-License-Identifier: MIT
 *
 * The words of C, and names that are written nearly like a wrong one. Only
 * tables; any thread. */
#ifndef LF_CDECL_KEYWORDS_H
#define LF_CDECL_KEYWORDS_H

#include "runtime/cdecl/lex.h"
#include "runtime/cdecl/type.h"

typedef enum {
  LF_W_BASE, /* one of those that make a base type */
  LF_W_CONST,
  LF_W_IGNORED,
  LF_W_ATTRIBUTE, /* ignored with the parentheses behind */
  LF_W_EXTERN,
  LF_W_TYPEDEF,
  LF_W_STRUCT, /* or union */
  LF_W_ENUM,
  LF_W_STATIC,  /* refused but in an array's brackets: 'why' */
  LF_W_REFUSED, /* 'why' says it */
  LF_W_OTHER,
} lf_cwordkind;

typedef struct {
  const char *text;
  lf_cwordkind kind;
  unsigned base; /* LF_W_BASE: added up over a type; see lf_cword_type */
  const char *why;
} lf_cword;

/* NULL: it is none of them. */
const lf_cword *lf_cword_find(const lf_ctoken *tok);
bool lf_cword_is(const lf_ctoken *tok, lf_cwordkind kind);

/* The type that these words make together, or NULL; "long double" and the like
 * are none. */
const lf_ctype *lf_cword_type(unsigned bases);

/* A name that is none of the words. */
bool lf_cword_free(const lf_ctoken *tok);

/* One that C++ begins a declaration with. */
bool lf_cword_cpp(const lf_ctoken *tok);

/* The nearest name so far, or NULL. */
typedef struct {
  const lf_ctoken *tok;
  const char *name;
  size_t distance; /* what comes nearer than this replaces it */
} lf_cnear;

/* Begins with the words and the built-in types. */
lf_cnear lf_cnear_word(const lf_ctoken *tok);
void lf_cnear_compare(lf_cnear *best, const char *name);

#endif
