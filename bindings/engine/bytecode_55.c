/* SPDX-License-Identifier: MIT
 *
 * See bytecode.h: of Lua 5.5, in the format of its ldump.c. A string is there
 * once, and then named by its number; code and lines lie where their alignment
 * wants them, counted from the first byte. */
#include <string.h>

#include "bindings/engine/compat.h"
#include "bindings/engine/internal.h"
#include "runtime/base/mem.h"

enum {
  INSTRUCTION = 4,
  HEADER = 4 + 1 + 1 + 6 + 1 + sizeof(int) + 1 + INSTRUCTION + 1 +
           sizeof(lua_Integer) + 1 + sizeof(lua_Number),
};

/* The strings that have come so far, lfb_constant, are in 'strings'. */
typedef struct {
  lfb_reader base;
  lf_buf strings;
} dump;

/* Seven bits a byte, most significant first, all but the last with the top
 * bit. */
static size_t take_size(lfb_reader *r) {
  size_t x = 0;
  unsigned b;
  do {
    b = lfb_take_byte(r);
    x = (x << 7) | (b & 0x7f);
  } while (!r->bad && b & 0x80);
  return x;
}

static void align(lfb_reader *r, size_t to) {
  size_t over = (size_t)(r->at - r->begin) % to;
  if (!r->bad && over > 0)
    lfb_take(r, to - over);
}

/* The one with the number, from 1 on; 0: none. */
static lfb_constant string_again(dump *d, size_t number) {
  const lfb_constant *strings = (const lfb_constant *)(void *)d->strings.data;
  if (number > d->strings.len / sizeof *strings)
    d->base.bad = true;
  else if (number > 0)
    return strings[number - 1];
  return (lfb_constant){NULL, 0};
}

static lfb_constant take_string(dump *d) {
  lfb_reader *r = &d->base;
  size_t size = take_size(r);
  if (size == 0)
    return string_again(d, take_size(r));
  lfb_constant s = {(const char *)lfb_take(r, size), size - 1};
  if (lf_buf_put(&d->strings, &s, sizeof s) != 0)
    r->bad = true;
  return s;
}

static lfb_constant take_constant(dump *d) {
  switch (lfb_take_byte(&d->base)) {
  case 0x13: /* float */
    lfb_take(&d->base, sizeof(lua_Number));
    break;
  case 0x03: /* integer */
    take_size(&d->base);
    break;
  case 0x04: /* short and long string */
  case 0x14:
    return take_string(d);
  }
  return (lfb_constant){NULL, 0};
}

static void skip_debug(dump *d) {
  lfb_reader *r = &d->base;
  take_string(d);            /* source */
  lfb_take(r, take_size(r)); /* lineinfo */
  size_t n = take_size(r);   /* abslineinfo */
  if (n > 0)
    align(r, sizeof(int));
  if (n < SIZE_MAX / 2 / sizeof(int))
    lfb_take(r, n * 2 * sizeof(int));
  else
    r->bad = true;
  for (n = take_size(r); n > 0 && !r->bad; n--) { /* locals */
    take_string(d);
    take_size(r);
    take_size(r);
  }
  for (n = take_size(r); n > 0 && !r->bad; n--) /* upvalues' names */
    take_string(d);
}

static bool read_head(dump *d, lfb_body *f) {
  lfb_reader *r = &d->base;
  take_size(r); /* first line, last line */
  take_size(r);
  lfb_take(r, 3); /* parameters, flags, stack size */
  f->ncode = take_size(r);
  align(r, INSTRUCTION);
  f->code =
      f->ncode < SIZE_MAX / 8 ? lfb_take(r, INSTRUCTION * f->ncode) : NULL;
  f->nk = take_size(r);
  if (r->bad || f->nk > (size_t)(r->end - r->at))
    r->bad = true;
  else
    f->k = lf_malloc(f->nk * sizeof *f->k + 1);
  if (!f->k)
    r->bad = true;
  for (size_t i = 0; !r->bad && i < f->nk; i++)
    f->k[i] = take_constant(d);
  return !r->bad;
}

static void read_function(dump *d, const lfb_upvalues *outer, int depth) {
  lfb_reader *r = &d->base;
  lfb_body f = {0};
  lfb_upvalues u;
  if (depth > LFB_NESTING) {
    r->bad = true;
  } else if (read_head(d, &f)) {
    size_t n = take_size(r);
    lfb_read_upvalues(r, n, outer, &u);
    lfb_read_code(r, &f, &u);
    for (size_t p = take_size(r); p > 0 && !r->bad; p--)
      read_function(d, &u, depth + 1);
    skip_debug(d);
  }
  lf_free(f.k);
}

void *lfb_bytecode_notes(const void *bytes, size_t len) {
  dump d = {0};
  lfb_reader_init(&d.base, bytes, len);
  const unsigned char *head = lfb_take(&d.base, HEADER);
  if (head && head[4] == LUA_VERSION_NUM / 100 * 16 + LUA_VERSION_NUM % 100) {
    lfb_take_byte(&d.base); /* number of upvalues */
    read_function(&d, NULL, 0);
  } else {
    d.base.bad = true;
  }
  lf_buf_fini(&d.strings);
  return lfb_reader_finish(&d.base);
}

_Static_assert(HEADER % INSTRUCTION == 0,
               "what a maker begins with is aligned");

/* function(u1, ..., un) return function ... end end. Some numbers have zeros in
 * front, so that the code, and the function within, lie aligned as before. */
bool lfb_bytecode_maker(lf_buf *out, const unsigned char *bytes, size_t len,
                        const lfb_notes *notes) {
  enum { CODE = 8, ZERO = 0x80 };
  unsigned n = notes->upvalues;
  unsigned char head[] = {0, /* upvalues */
                          ZERO,
                          0, /* lines */
                          0,
                          (unsigned char)n,
                          0, /* flags */
                          n + 2 > 255 ? 0 : (unsigned char)(n + 2),
                          2, /* instructions */
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          ZERO,
                          ZERO,
                          0, /* constants */
                          0, /* upvalues */
                          1 /* functions */};
  static const unsigned char tail[] = {0, 0, 0, 0, 0, 0};
  _Static_assert(CODE % INSTRUCTION == 0, "the code is aligned");
  _Static_assert((sizeof head - 1) % INSTRUCTION == 0, "and that within");
  lfb_put_maker(head + CODE, n);
  size_t before = out->len;
  if (n > LFB_MOST_MADE || lf_buf_put(out, bytes, HEADER) != 0 ||
      lf_buf_put(out, head, sizeof head) != 0 ||
      lf_buf_put(out, bytes + HEADER + 1, len - HEADER - 1) != 0 ||
      lf_buf_put(out, tail, sizeof tail) != 0) {
    out->len = before;
    return false;
  }
  lfb_localize_upvalues(out->data + before + HEADER + sizeof head +
                            notes->upvalues_at - HEADER - 1,
                        n);
  return true;
}
