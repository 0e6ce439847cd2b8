/* SPDX-License-Identifier: MIT
 *
 * Shared libraries (dynamic shared objects): found by name or path, opened for
 * the rest of the process's life, and searched for functions. The system header
 * dlfcn.h has its home here. Any thread. */
#ifndef LF_NATIVE_DSO_H
#define LF_NATIVE_DSO_H

#include "runtime/base/buf.h"

typedef struct lf_dso {
  void *handle;      /* the same for the same library */
  char name[256];    /* "libz.so.1", as messages call it */
  const char *path;  /* as the loader has found it; lives on */
  uint64_t identity; /* the same in all processes of a machine */
} lf_dso;

typedef void lf_function(void);

/* Opens a library. A name without a slash is looked for as libNAME.so, else as
 * libNAME.so.VERSION among those that the system's loader knows, the highest
 * version; the current directory is not searched. Symbols stay local; the
 * library is never unloaded. LF_EBROKEN: 'why' (empty before) has the message.
 */
int lf_dso_open(const char *name, lf_dso *out, lf_buf *why);

/* The function of that name. NULL: 'why' has the message. */
lf_function *lf_dso_function(const lf_dso *dso, const char *symbol,
                             lf_buf *why);

#endif
