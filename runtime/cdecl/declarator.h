/* SPDX-License-Identifier: MIT
 *
 * What the parts of the reader of C declarations share: declarator.c for what
 * comes before the things declared, form.c for the forms that these can have.
 *
 * Every function that reads begins with its first token as the current one and
 * leaves the one behind its last. After a complaint there are no more tokens,
 * so that all of them come to their end; types are never NULL. */
#ifndef LF_CDECL_DECLARATOR_H
#define LF_CDECL_DECLARATOR_H

#include "runtime/cdecl/symbols.h"

typedef struct {
  lf_clex x;
  lf_cnames *names;
  lf_carena *arena; /* of the names */
} lf_creader;

/* --- declarator.c --- */

/* What comes before the things that are declared. */
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

/* Does it begin one? 'user' is the reader. */
bool lf_cread_begins_type(void *user, const lf_ctoken *tok);

/* The complaint about another type when there is one already. */
void lf_cread_second_type(lf_creader *r, const lf_cspecs *s,
                          const lf_ctoken *tok);

lf_cvalue lf_cread_constant(lf_creader *r);

/* Attributes, if there are any. */
void lf_cread_attributes(lf_creader *r);

/* A line with #. */
void lf_cread_hash(lf_creader *r);

/* The type, or any if there was no memory for it; a copy, or "". */
const lf_ctype *lf_cread_made(lf_creader *r, const lf_ctype *type);
const char *lf_cread_kept(lf_creader *r, const lf_ctoken *tok);

/* --- form.c --- */

typedef struct {
  lf_ctoken name; /* len 0: none */
  bool optional;  /* the name */
  struct lf_cmodifier *outermost;
} lf_cform;

void lf_cread_form(lf_creader *r, lf_cform *form);

/* The type of what has this form. */
const lf_ctype *lf_cread_apply(lf_creader *r, lf_cspecs *s,
                               const lf_cform *form);

/* A type alone. */
const lf_ctype *lf_cread_type(lf_creader *r);

/* A parameter, to the list of lf_cparam. False: it is the void that says that
 * there are none. */
bool lf_cread_param(lf_creader *r, lf_buf *list);

/* Gives a function the parameters of the list, which is freed. */
void lf_cread_params(lf_creader *r, lf_cfunc *f, lf_buf *list);

#endif
