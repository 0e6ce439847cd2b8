/* SPDX-License-Identifier: MIT
 *
 * A library for lfut.load: functions that give back what they are passed, of
 * each type, or tell what that was. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define SAME(type)                                                             \
  EXPORT type same_##type(type x);                                             \
  type same_##type(type x) {                                                   \
    return x;                                                                  \
  }
SAME(bool)
SAME(char)
SAME(int8_t)
SAME(uint8_t)
SAME(int16_t)
SAME(uint16_t)
SAME(int32_t)
SAME(uint32_t)
SAME(int64_t)
SAME(uint64_t)
SAME(float)
SAME(double)
SAME(size_t)

/* Adds 1 to each of the first n elements. */
#define RAISE(type)                                                            \
  EXPORT void raise_##type(type *x, size_t n);                                 \
  void raise_##type(type *x, size_t n) {                                       \
    for (size_t i = 0; i < n; i++)                                             \
      x[i]++;                                                                  \
  }
RAISE(int8_t)
RAISE(uint8_t)
RAISE(int16_t)
RAISE(uint16_t)
RAISE(int32_t)
RAISE(uint32_t)
RAISE(int64_t)
RAISE(uint64_t)
RAISE(float)
RAISE(double)

typedef struct thing thing;
struct thing {
  int32_t number;
};
static thing things[3] = {{0}, {1}, {2}};

EXPORT extern int a_variable;
int a_variable = 1;

EXPORT thing *get_thing(int i);
EXPORT int get_number(const thing *t);
EXPORT int find_thing(int i, thing **out);
EXPORT const char *same_text(const char *s);
EXPORT char *same_place(char *s);
EXPORT void *same_pointer(const void *p);
EXPORT int64_t sum_bytes(const uint8_t *s, size_t n);
EXPORT int64_t measure(const char *s);
EXPORT int32_t apply(int32_t (*f)(int32_t), int32_t x);
EXPORT int fail_with(int number, int result);
EXPORT const char *null_with(int number);
EXPORT double mix(int8_t a, double b, float c, uint64_t d, bool e, int16_t f,
                  float g, int64_t h, uint8_t i, double j);
EXPORT size_t misaligned(const void *before, const void *p);
EXPORT void nothing(void);

thing *get_thing(int i) {
  return i >= 0 && i < 3 ? &things[i] : NULL;
}

int get_number(const thing *t) {
  return t ? t->number : -1;
}

int find_thing(int i, thing **out) {
  if (out)
    *out = get_thing(i);
  return i >= 0 && i < 3 ? 0 : -1;
}

const char *same_text(const char *s) {
  return s;
}

char *same_place(char *s) {
  return s;
}

void *same_pointer(const void *p) {
  return (void *)(uintptr_t)p;
}

int64_t sum_bytes(const uint8_t *s, size_t n) {
  int64_t sum = 0;
  for (size_t i = 0; i < n; i++)
    sum += s[i];
  return sum;
}

int64_t measure(const char *s) {
  return s ? (int64_t)strlen(s) : -1;
}

int32_t apply(int32_t (*f)(int32_t), int32_t x) {
  return f ? f(x) : 0;
}

/* Results that mean failure, with an errno. */
int fail_with(int number, int result) {
  errno = number;
  return result;
}

const char *null_with(int number) {
  errno = number;
  return number ? NULL : "fine";
}

/* Does each arrive where it belongs? */
double mix(int8_t a, double b, float c, uint64_t d, bool e, int16_t f, float g,
           int64_t h, uint8_t i, double j) {
  return a + 10 * b + 100 * (double)c + 1e3 * (double)d + 1e4 * e + 1e5 * f +
         1e6 * (double)g + 1e7 * (double)h + 1e8 * i + 1e9 * j;
}

/* By how much is the second beyond a multiple of 8? */
size_t misaligned(const void *before, const void *p) {
  (void)before;
  return (uintptr_t)p % 8;
}

void nothing(void) {
}
