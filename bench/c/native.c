// SPDX-License-Identifier: MIT
// What C programs reach at what native tasks are measured by; each command
// prints one number.
//   ffi COUNT         calls/s of libm's fabs through ffi_call, one thread
//   sum COUNT         bytes/s of two threads that add up COUNT doubles
//   mandelbrot SIZE   seconds for an image of SIZE x SIZE by two threads, which
//                     take its rows as the plugin's tasks do, 16 at a time
#define _POSIX_C_SOURCE 200809L
#include <ffi.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 20, ROWS = 16, LIMIT = 255 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *message) {
  fprintf(stderr, "native: %s\n", message);
  exit(1);
}

// Runs f(0) and f(1) in two threads.
static void in_two(void *(*f)(void *)) {
  pthread_t threads[2];
  for (intptr_t i = 0; i < 2; i++)
    if (pthread_create(&threads[i], NULL, f, (void *)i) != 0)
      die("no thread");
  for (int i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
}

static double call_all(ffi_cif *cif, long count) {
  double sum = 0;
  for (long i = 0; i < count; i++) {
    double x = (double)(1 + i % 10), r;
    void *args[] = {&x};
    ffi_call(cif, FFI_FN(fabs), &r, args);
    sum += r;
  }
  return sum;
}

static double measure_ffi(long count) {
  ffi_cif cif;
  ffi_type *types[] = {&ffi_type_double};
  if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_double, types) != FFI_OK)
    die("ffi_prep_cif");
  call_all(&cif, count / 10 + 1);
  double start = now();
  volatile double sum = call_all(&cif, count);
  (void)sum;
  return (double)count / (now() - start);
}

static double *numbers;
static long half;
static double sums[2];

static void *add_half(void *which) {
  const double *x = numbers + (intptr_t)which * half;
  double s[4] = {0};
  for (long i = 0; i + 4 <= half; i += 4)
    for (int k = 0; k < 4; k++)
      s[k] += x[i + k];
  sums[(intptr_t)which] = s[0] + s[1] + s[2] + s[3];
  return NULL;
}

static double measure_sum(long count) {
  half = count / 2;
  numbers = malloc(2 * (size_t)half * sizeof *numbers);
  if (!numbers)
    die("not enough memory");
  for (long i = 0; i < 2 * half; i++)
    numbers[i] = 1;
  in_two(add_half);
  double start = now();
  for (int i = 0; i < ROUNDS; i++) {
    in_two(add_half);
    if (sums[0] + sums[1] != 2.0 * (double)(half / 4 * 4))
      die("wrong sum");
  }
  return ROUNDS * 2.0 * (double)half * sizeof *numbers / (now() - start);
}

static long size;
static uint8_t *pixels;
static atomic_long next_row;

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

static void *draw(void *which) {
  (void)which;
  long first;
  while ((first = atomic_fetch_add(&next_row, ROWS)) < size)
    for (long y = first; y < first + ROWS && y < size; y++)
      for (long x = 0; x < size; x++)
        pixels[y * size + x] =
            shade(2.5 * ((double)x + 0.5) / (double)size - 2,
                  2.5 * ((double)y + 0.5) / (double)size - 1.25);
  return NULL;
}

static double measure_mandelbrot(long n) {
  size = n;
  pixels = malloc((size_t)n * (size_t)n);
  if (!pixels)
    die("not enough memory");
  in_two(draw);
  atomic_store(&next_row, 0);
  double start = now();
  in_two(draw);
  return now() - start;
}

int main(int argc, char **argv) {
  const char *what = argc == 3 ? argv[1] : "";
  long count = argc == 3 ? atol(argv[2]) : 0;
  double result = 0;
  if (count < 1)
    die("usage: native ffi|sum|mandelbrot COUNT");
  if (strcmp(what, "ffi") == 0)
    result = measure_ffi(count);
  else if (strcmp(what, "sum") == 0)
    result = measure_sum(count);
  else if (strcmp(what, "mandelbrot") == 0)
    result = measure_mandelbrot(count);
  else
    die("unknown command");
  printf("%.9g\n", result);
  return 0;
}
