/* SPDX-License-Identifier: MIT
 *
 * Which of several names was meant? The one that is nearest by the number of
 * letters to insert, delete, replace or exchange (the optimal string alignment
 * distance), if it is near at all. Nothing here has state. */
#ifndef LF_BASE_SUGGEST_H
#define LF_BASE_SUGGEST_H

#include "runtime/base/base.h"

enum { LF_SIMILAR_MOST = 63 }; /* letters of a name */

/* The distance of two names of 'n' and 'm' letters, not more than that. */
size_t lf_suggest_distance(const char *a, size_t n, const char *b, size_t m);

typedef struct {
  const char *name;
  size_t distance;
  char best[64]; /* the nearest so far; "": none was near */
} lf_suggestion;

lf_suggestion lf_suggest(const char *name);
void lf_suggest_try(lf_suggestion *similar, const char *candidate);

#endif
