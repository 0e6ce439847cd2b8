/* SPDX-License-Identifier: MIT
 *
 * What the names of C declarations mean: functions, types and constants, which
 * C has in one space, and the tags behind struct, union and enum, kept with
 * that word. Complaints go to the lexer. Any thread, one at a time. */
#ifndef LF_CDECL_SYMBOLS_H
#define LF_CDECL_SYMBOLS_H

#include "runtime/base/table.h"
#include "runtime/cdecl/expr.h"
#include "runtime/cdecl/keywords.h"

typedef enum {
  LF_N_FUNCTION,
  LF_N_TYPE,
  LF_N_CONSTANT,
  LF_N_TAG,
} lf_cmeaning;

typedef struct lf_cname {
  const char *text; /* "f", "struct x" */
  lf_cmeaning meaning;
  int line;
  const lf_ctype *type; /* of a function, too */
  const lf_ctype *of;   /* of a typedef: what it names */
  lf_cinteger value;
  size_t index; /* of a function */
  struct lf_cname *same, *next;
} lf_cname;

typedef struct {
  lf_carena arena;
  lf_table table; /* by the hash of the text; chains through 'same' */
  lf_cname *first, *last;
  size_t n;         /* without tags */
  lf_buf functions; /* lf_cfunc, in the order of the text */
  lf_buf constants; /* lf_cconst */
  bool closed;      /* no more of them, but for tags */
} lf_cnames;

enum { LF_C_NAMES = 4096 };

void lf_cnames_fini(lf_cnames *names);

lf_cname *lf_cnames_find(const lf_cnames *names, const lf_ctoken *tok);

/* The type that is meant, or NULL. */
const lf_ctype *lf_cnames_type(const lf_cnames *names, const lf_ctoken *tok);

/* What has this tag, as text with the word before it: 'word', or, if that is
 * NULL, whichever there is. NULL: nothing. */
lf_cname *lf_cnames_tag(const lf_cnames *names, const char *word,
                        const lf_ctoken *tok);

/* A word or type that is written nearly so, or NULL. */
const char *lf_cnames_near(const lf_cnames *names, const lf_ctoken *tok);

/* Give the name a meaning: complain if it has another one. */
void lf_cnames_constant(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                        lf_cinteger value);
void lf_cnames_typedef(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                       const lf_ctype *type);
void lf_cnames_function(lf_cnames *names, lf_clex *x, const lf_ctoken *tok,
                        const lf_ctype *type);

/* Makes the tag if it is not there; a type other than NULL replaces its own.
 * The result is never NULL. */
const lf_ctype *lf_cnames_declare_tag(lf_cnames *names, lf_clex *x,
                                      const char *word, const lf_ctoken *tok,
                                      const lf_ctype *type);

#endif
