/* SPDX-License-Identifier: MIT
 *
 * Rows of a picture of the Mandelbrot set: work that takes long, tells how far
 * it is, and stops when it is told to.
 *
 *   local m = lfut.plugin("./mandelbrot.so")
 *   local pixels = lfut.Array("uint8", 400 * 400)
 *   local rows = exe:submit(m.mandelbrot_rows, pixels, 400, 400, 0, 400)
 *
 * Several tasks draw one picture when each gets a view of its rows
 * (pixels:chunks) and the number of the first of them. */
#include "lfut_plugin.h"

enum { LIMIT = 255 };

/* What lfut does for plugins; from init on. */
static const lfut_host *host;

static int init(const lfut_host *h) {
  host = h;
  return 0;
}

/* How fast the point escapes: 0 (never) to LIMIT. */
static uint8_t shade(double cr, double ci) {
  double zr = 0, zi = 0;
  int n = 0;
  while (n < LIMIT && zr * zr + zi * zi < 4) {
    double r = zr * zr - zi * zi + cr;
    zi = 2 * zr * zi + ci;
    zr = r;
    n++;
  }
  return (uint8_t)(LIMIT - n);
}

/* Draws 'count' rows, from 'first' on (counted from 0), of a picture of width *
 * height points; returns how many it has drawn. A parameter of this type is
 * lfut's: it says in which task we are, and scripts do not pass it. */
static int mandelbrot_rows(lfut_task *task, uint8_t *pixels, uint32_t width,
                           uint32_t height, uint32_t first, uint32_t count) {
  uint32_t row;
  for (row = 0; row < count && !host->cancelled(task); row++) {
    double ci = 2.5 * (first + row + 0.5) / height - 1.25;
    for (uint32_t x = 0; x < width; x++)
      *pixels++ = shade(2.5 * (x + 0.5) / width - 2, ci);
    host->progress(task, row + 1.0, count);
  }
  return (int)row;
}

static const lfut_function functions[] = {
    {.prototype = "int mandelbrot_rows(lfut_task *task, uint8_t *pixels, "
                  "uint32_t width, uint32_t height, uint32_t first, "
                  "uint32_t count)",
     .entry = (lfut_entry)mandelbrot_rows,
     .flags = LFUT_THREADSAFE | LFUT_IDEMPOTENT | LFUT_CANCELLABLE,
     .args = "pixels:out[width*count]",
     .doc = "draws rows of the Mandelbrot set; returns how many"},
};

LFUT_PLUGIN(.name = "mandelbrot", .version = "1.0", .functions = functions,
            .nfunctions = sizeof functions / sizeof functions[0], .init = init)
