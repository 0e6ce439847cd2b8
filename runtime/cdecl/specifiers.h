/* SPDX-License-Identifier: MIT
 *
 * What comes before the things that are declared: C's declaration specifiers.
 * The rules of reader.h. */
#ifndef LF_CDECL_SPECIFIERS_H
#define LF_CDECL_SPECIFIERS_H

#include "runtime/cdecl/reader.h"

/* What they have said. */
typedef struct {
  lf_ctoken at; /* where the type is */
  const lf_ctype *type;
  unsigned bases;
  bool is_typedef;
  bool is_const;  /* and 'type' does not know it yet */
  bool tagged;    /* struct, union, enum: need not declare anything else */
  bool anonymous; /* one without a tag: gets the first name that is declared */
} lf_cspecs;

/* 'top': of what is declared by itself. */
void lf_cread_specs(lf_creader *r, lf_cspecs *s, bool top);

/* The type, when the name that is declared with it is known. */
const lf_ctype *lf_cread_base(lf_creader *r, lf_cspecs *s,
                              const lf_ctoken *name);

/* The complaint about another type when there is one already. */
void lf_cread_second_type(lf_creader *r, const lf_cspecs *s,
                          const lf_ctoken *tok);

#endif
