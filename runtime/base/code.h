/* SPDX-License-Identifier: MIT
 *
 * Functions' bytes (an interpreter's bytecode), one copy in the process
 * however many closures, tasks and workers use it: interned by content,
 * counted, immutable. Any thread. */
#ifndef LF_BASE_CODE_H
#define LF_BASE_CODE_H

#include "runtime/base/base.h"

#include <stdatomic.h>

enum {
  LF_LABEL = 96
}; /* bytes: the longest name that Lua gives a source fits */

typedef struct lf_code {
  _Atomic size_t refs;
  struct lf_code *next; /* in its hash bucket; under the table's lock */
  uint64_t id;          /* never used again, so that a cache may keep it */
  size_t hash, len;
  _Atomic uint64_t traced; /* its name in traces (trace.c), or 0 */
  atomic_bool slow;        /* runs of it take long (tally.c) */
  char label[LF_LABEL];    /* "function <script.lua:12>" */
  void *notes; /* what bindings found in the bytes, freed with them; of a
                  library's description the library (library.h) */
  unsigned char bytes[];
} lf_code;

/* What is called for new bytes, under the table's lock: returns a block for
 * 'notes', or NULL. */
typedef void *lf_annotate(const void *bytes, size_t len);

/* The one object with these bytes, with a reference for the caller, or NULL.
 * 'annotate' may be NULL. 'label' is copied and cut. */
lf_code *lf_code_get(const void *bytes, size_t len, const char *label,
                     lf_annotate *annotate);

void lf_code_unref(void *code);

static inline lf_code *lf_code_ref(lf_code *code) {
  atomic_fetch_add_explicit(&code->refs, 1, memory_order_relaxed);
  return code;
}

#endif
