/* SPDX-License-Identifier: MIT
 *
 * The reader of C declarations, and what may stand anywhere in them: constants,
 * and what is read over.
 *
 * Every function that reads begins with its first token as the current one and
 * leaves the one behind its last. After a complaint there are no more tokens,
 * so that all of them come to their end; types are never NULL. */
#ifndef LF_CDECL_READER_H
#define LF_CDECL_READER_H

#include "runtime/cdecl/symbols.h"

typedef struct {
  lf_clex x;
  lf_cnames *names;
  lf_carena *arena;                      /* of the names */
  const lf_ctype *(*type)(void *reader); /* reads one: lf_cread_type */
} lf_creader;

/* Does it begin one? 'user' is the reader. */
bool lf_cread_begins_type(void *user, const lf_ctoken *tok);

lf_cinteger lf_cread_constant(lf_creader *r);

/* Over everything between brackets. */
void lf_cread_over(lf_creader *r, int open, int close);

/* Attributes, if there are any. */
void lf_cread_attributes(lf_creader *r);

/* A line with #. */
void lf_cread_hash(lf_creader *r);

/* The type, or any if there was no memory for it; a copy, or "". */
const lf_ctype *lf_cread_made(lf_creader *r, const lf_ctype *type);
const char *lf_cread_kept(lf_creader *r, const lf_ctoken *tok);

#endif
