/* SPDX-License-Identifier: MIT
 *
 * Functions of C libraries, bound to be called through libffi (call.h).
 *
 * A library is described by bytes, which are interned like code (code.h): so it
 * is one object however often it is loaded, and a worker process to which the
 * description is sent binds it for itself. Libraries and their functions stay
 * until the process ends, and are immutable; any thread may call. */
#ifndef LF_NATIVE_LIBRARY_H
#define LF_NATIVE_LIBRARY_H

#include "runtime/base/code.h"
#include "runtime/cdecl/cdecl.h"
#include "runtime/native/plugin.h"

/* How calls into a library may overlap in one process. */
typedef enum {
  LF_SERIAL,     /* one at a time */
  LF_SAFE,       /* as they come */
  LF_AFFINE,     /* always by the same thread */
  LF_BY_PROCESS, /* only in worker processes */
} lf_threads;

extern const char *const lf_threads_names[]; /* NULL behind the last */

/* Which results mean that the function has failed. */
typedef enum {
  LF_NEVER,
  LF_NONZERO,
  LF_NEGATIVE,
  LF_NULL,
  LF_ZERO,
} lf_failure;

struct lf_strand;
typedef struct lf_library lf_library;

typedef struct lf_native {
  lf_library *library;
  const lf_cfunc *proto;
  lf_code *code;  /* its label: "function compress2 of libz.so.1" */
  uint32_t index; /* in the library */
  uint32_t base;  /* of a typed variadic one: the function it is; else index */
  lf_threads threads;
  struct lf_strand *strand; /* that its calls pass one at a time; or NULL */
  lf_failure failure;
  int least;       /* arguments; those behind can be filled in */
  bool checks;     /* lf_native_check has something to do */
  uint32_t flags;  /* of a plugin's: LFUT_IDEMPOTENT, ... */
  const char *doc; /* of a plugin's, or NULL */
} lf_native;

struct lf_library {
  lf_code *code;     /* its description; a reference */
  char name[64];     /* "libz.so.1" */
  uint64_t identity; /* of the library, however it was loaded; the same in other
                        processes */
  const char *path;
  const char *version; /* of a plugin; else NULL */
  lf_threads threads;  /* unless its functions say otherwise */
  lf_cdecl *decl;
  size_t nfunctions; /* those declared, then typed variadic ones */
  lf_native **functions;
  struct lf_strand
      *strand;      /* of its serial functions; the library's, not ours */
  lf_library *next; /* all of them */
};

/* --- Describing ------------------------------------------------------------
 */

/* Begins a description; no text contains a zero byte. Of a plugin: its path. */
int lf_library_describe(lf_buf *out, const char *name, lf_threads threads,
                        const char *declarations);
int lf_library_describe_plugin(lf_buf *out, const char *path);

/* What may follow, any number of times. */
typedef enum {
  LF_OPT_ERROR = 'e', /* "nonzero", "negative", "null", "zero" */
  LF_OPT_ARGS = 'a',  /* "src:in[n] dest:out[*destLen]" */
  LF_OPT_TYPES = 't', /* a variadic function's further types: "int, double" */
} lf_library_option;

int lf_library_option_put(lf_buf *out, lf_library_option what,
                          const char *function, const char *value);

/* --- Loading ----------------------------------------------------------------
 */

/* The library that the code describes, loaded and bound unless it is already.
 * LF_EBROKEN: 'why' has the message. */
int lf_library_open(lf_code *code, lf_library **out, lf_buf *why);

/* The function of that name, or NULL: the first one declared so. */
lf_native *lf_library_find(const lf_library *library, const char *name);

#endif
