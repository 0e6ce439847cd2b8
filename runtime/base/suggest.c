/* SPDX-License-Identifier: MIT
 *
 * See suggest.h. */
#include "runtime/base/suggest.h"

#include <string.h>

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* Rows of the table: the one before the last, the last, the current. */
size_t lf_suggest_distance(const char *a, size_t n, const char *b, size_t m) {
  size_t rows[3][LF_SIMILAR_MOST + 1];
  for (size_t j = 0; j <= m; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *row = rows[i % 3], *last = rows[(i + 2) % 3];
    const size_t *before = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t d = last[j - 1] + (a[i - 1] != b[j - 1]);
      d = least(d, least(last[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d = least(d, before[j - 2] + 1);
      row[j] = d;
    }
  }
  return rows[n % 3][m];
}

lf_suggestion lf_suggest(const char *name) {
  lf_suggestion s = {.name = name};
  s.distance = strlen(name) / 3 + 1; /* what is as far is not near */
  return s;
}

void lf_suggest_try(lf_suggestion *s, const char *candidate) {
  size_t n = strlen(s->name), m = strlen(candidate);
  size_t apart = n > m ? n - m : m - n;
  if (n == 0 || n > LF_SIMILAR_MOST || m == 0 || m > LF_SIMILAR_MOST ||
      apart > s->distance)
    return;
  size_t d = lf_suggest_distance(s->name, n, candidate, m);
  bool longer = d == s->distance && m > strlen(s->best); /* one was left out */
  if (d > s->distance || (d == s->distance && (!s->best[0] || !longer)))
    return;
  s->distance = d;
  memcpy(s->best, candidate, m + 1);
}
