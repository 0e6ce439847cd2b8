/* SPDX-License-Identifier: MIT
 *
 * The form of what is declared: C's declarator, around its name or without one.
 * The rules of reader.h. */
#ifndef LF_CDECL_DECLARATOR_H
#define LF_CDECL_DECLARATOR_H

#include "runtime/cdecl/specifiers.h"

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
const lf_ctype *lf_cread_type(void *reader);

/* A parameter, to the list of lf_cparam. False: it is the void that says that
 * there are none. */
bool lf_cread_param(lf_creader *r, lf_buf *list);

/* Gives a function the parameters of the list, which is freed. */
void lf_cread_params(lf_creader *r, lf_cfunc *f, lf_buf *list);

#endif
