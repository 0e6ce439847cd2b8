/* SPDX-License-Identifier: MIT
 *
 * See base.h. */
#include "runtime/base/base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void lf_panic(const char *file, int line, const char *what) {
  fprintf(stderr, "lfut: %s:%d: internal error: %s\n", file, line, what);
  abort();
}
