/* SPDX-License-Identifier: MIT
 *
 * See line.h. */
#include "runtime/base/line.h"

void lf_line_init(lf_line *line, char *text, size_t size) {
  *line = (lf_line){.text = text, .size = size};
  text[0] = '\0';
}

void lf_line_put(lf_line *line, const char *text) {
  for (; *text && line->len + 1 < line->size; text++)
    line->text[line->len++] = (unsigned char)*text < ' ' ? '?' : *text;
  line->text[line->len] = '\0';
}

void lf_line_end(lf_line *line) {
  lf_line_put(line, " ");
  if (line->len > 0)
    line->text[line->len - 1] = '\n'; /* also of what has been cut */
}

static void put_digits(lf_line *line, uint64_t n, unsigned base) {
  char digits[24];
  size_t at = sizeof digits - 1;
  digits[at] = '\0';
  do
    digits[--at] = "0123456789abcdef"[n % base];
  while (n /= base);
  lf_line_put(line, digits + at);
}

void lf_line_number(lf_line *line, int64_t n) {
  if (n < 0)
    lf_line_put(line, "-");
  put_digits(line, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

void lf_line_seconds(lf_line *line, int64_t ns) {
  int64_t tenths = (ns > 0 ? ns : 0) / 100000000;
  lf_line_number(line, tenths / 10);
  lf_line_put(line, ".");
  lf_line_number(line, tenths % 10);
}

void lf_line_hex(lf_line *line, uint64_t n) {
  lf_line_put(line, "0x");
  put_digits(line, n, 16);
}
