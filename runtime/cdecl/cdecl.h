/* SPDX-License-Identifier: MIT
 *
 * C declarations as people paste them from headers: prototypes, typedefs,
 * opaque structures, enumerations and integer macros. Read by recursive
 * descent; what cannot be called through libffi is refused in words. Knows the
 * sizes of this machine's C types; no system header, no library.
 *
 * Everything that comes out lives as long as the lf_cdecl and is read-only. Any
 * thread. */
#ifndef LF_CDECL_CDECL_H
#define LF_CDECL_CDECL_H

#include "runtime/base/buf.h"
#include "runtime/cdecl/type.h"

typedef struct lf_cdecl {
  const lf_cfunc *functions; /* in the order of the text */
  size_t nfunctions;
  const lf_cconst *constants;
  size_t nconstants;
} lf_cdecl;

/* Reads the text. On LF_EBROKEN 'why' has the message: "cdef:LINE:COL: what is
 * wrong 'token' (what to do)", the source line, and a caret below the column,
 * each but the last ended by a newline. LF_ENOMEM: nothing. */
int lf_cdecl_read(const char *text, size_t len, lf_cdecl **out, lf_buf *why);

/* Types of further arguments, "int, double", for a variadic function: a
 * function like 'func' with those parameters behind its own, and not variadic;
 * small ones are promoted as C has it (float is passed as double). It belongs
 * to 'decl'; not for two threads at a time. Errors as above. */
int lf_cdecl_extend(lf_cdecl *decl, const lf_cfunc *func, const char *types,
                    size_t len, const lf_cfunc **out, lf_buf *why);

/* NULL is fine. */
void lf_cdecl_free(lf_cdecl *decl);

#endif
