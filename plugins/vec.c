/* SPDX-License-Identifier: MIT
 *
 * Arithmetic on arrays of doubles: a plugin at its simplest. Plain C functions
 * that know nothing of lfut, and a table that describes them.
 *
 *   local vec = lfut.plugin("./vec.so")
 *   local x = lfut.Array("double", { 3, 4 })
 *   print(vec.norm(x))                          --> 5.0
 *   print(exe:submit(vec.norm, x):result())     --> 5.0
 *   print(vec.norm(x, 1))                       --> 3.0 */
#include "lfut_plugin.h"

#include <math.h>

/* Several sums at a time: each addition would have to wait for the one before,
 * and memory is faster than that. */
static double sum(const double *x, size_t n) {
  double s[4] = {0};
  size_t i = 0;
  for (; i + 4 <= n; i += 4)
    for (size_t k = 0; k < 4; k++)
      s[k] += x[i + k];
  for (; i < n; i++)
    s[0] += x[i];
  return s[0] + s[1] + s[2] + s[3];
}

static double dot(const double *x, const double *y, size_t n) {
  double s = 0;
  for (size_t i = 0; i < n; i++)
    s += x[i] * y[i];
  return s;
}

static double norm(const double *x, size_t n) {
  return sqrt(dot(x, x, n));
}

/* y = a * x + y */
static void axpy(double a, const double *x, double *y, size_t n) {
  for (size_t i = 0; i < n; i++)
    y[i] += a * x[i];
}

/* The prototypes are text: lfut reads them as it reads those that scripts pass
 * to lfut.load. 'args' says how long the arrays have to be; lfut looks before
 * it calls, so that a wrong n is an error and not a crash. With a question mark
 * n may be left out, and is what x has. Nothing is shared
 * here but what the caller passes, hence LFUT_THREADSAFE. */
static const lfut_function functions[] = {
    {.prototype = "double sum(const double *x, size_t n)",
     .entry = (lfut_entry)sum,
     .flags = LFUT_THREADSAFE | LFUT_IDEMPOTENT,
     .args = "x:in[n?]",
     .doc = "the sum of the first n elements"},
    {.prototype = "double dot(const double *x, const double *y, size_t n)",
     .entry = (lfut_entry)dot,
     .flags = LFUT_THREADSAFE | LFUT_IDEMPOTENT,
     .args = "x:in[n?] y:in[n]",
     .doc = "the scalar product"},
    {.prototype = "double norm(const double *x, size_t n)",
     .entry = (lfut_entry)norm,
     .flags = LFUT_THREADSAFE | LFUT_IDEMPOTENT,
     .args = "x:in[n?]",
     .doc = "the length of a vector"},
    {.prototype = "void axpy(double a, const double *x, double *y, size_t n)",
     .entry = (lfut_entry)axpy,
     .flags = LFUT_THREADSAFE,
     .args = "x:in[n?] y:inout[n]",
     .doc = "adds a * x to y"},
};

LFUT_PLUGIN(.name = "vec", .version = "1.0", .functions = functions,
            .nfunctions = sizeof functions / sizeof functions[0])
