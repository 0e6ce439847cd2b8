/* SPDX-License-Identifier: MIT
 *
 * Bound functions from the inside: private to this folder. Everything is under
 * the lock of library.c until it has been loaded, and only read then. ffi.h has
 * its home in this folder. */
#ifndef LF_NATIVE_INTERNAL_H
#define LF_NATIVE_INTERNAL_H

#include "runtime/native/dso.h"
#include "runtime/native/library.h"

#include <ffi.h>

#define LF_LIBRARY_MAGIC "\0native 1" /* no bytecode begins with a zero */

enum { LF_FACTORS = 4 };

/* A factor of a length: a number, a parameter's value, or what is stored where
 * it points to. */
typedef struct {
  enum { LF_BY_NUMBER, LF_BY_VALUE, LF_BY_STORED } kind;
  int64_t number; /* or the parameter's place */
} lf_factor;

/* A parameter points to so many elements. */
typedef struct lf_length {
  struct lf_length *next;
  int param, nfactors;
  lf_factor factors[LF_FACTORS];
  bool fills; /* the one factor, a parameter, may be left out */
} lf_length;

typedef struct {
  lf_native native;
  lf_cfunc proto; /* as scripts see it */
  char *text;     /* the same; NULL: as it was declared */
  int task;       /* the place of a parameter that they do not; -1: none */
  lf_function *entry;
  bool plain; /* one to three doubles to a double */
  ffi_cif cif;
  ffi_type **types;
  lf_length *checks;
} lf_bound;

static inline lf_bound *lf_bound_of(const lf_native *n) {
  return lf_container_of(n, lf_bound, native);
}

/* --- bind.c --- */

/* One more function of the library, with 'nfixed' parameters and others behind
 * '...'. NULL: no memory. */
lf_bound *lf_bind(lf_library *library, const lf_cfunc *f, int nfixed,
                  lf_function *entry);
void lf_bound_free(lf_bound *bound);

/* Do calls by that rule pass a strand? */
bool lf_bound_passes_strand(lf_threads threads);

/* --- lengths.c --- */

/* The option's value becomes the function's. LF_EBROKEN: 'why' has the message.
 */
int lf_lengths_read(lf_bound *bound, const char *value, lf_buf *why);

/* For a function with the same parameters, and others. */
int lf_lengths_copy(lf_bound *bound, const lf_length *from);

/* The one that says what to fill in for a parameter, or NULL. */
const lf_length *lf_lengths_filler(const lf_bound *bound, int param);

/* How many bytes of a name there are. */
size_t lf_lengths_span_name(const char *at);

#endif
