/* SPDX-License-Identifier: MIT
 *
 * See bytecode.h: of Lua 5.4, in the format of its ldump.c. */
#include <string.h>

#include "bindings/engine/compat.h"
#include "bindings/engine/internal.h"
#include "runtime/base/mem.h"

enum {
  HEADER = 4 + 1 + 1 + 6 + 3 + sizeof(lua_Integer) + sizeof(lua_Number),
};

/* Seven bits a byte, most significant first, the last with the top bit. */
static size_t take_size(lfb_reader *r) {
  size_t x = 0;
  unsigned b;
  do {
    b = lfb_take_byte(r);
    x = (x << 7) | (b & 0x7f);
  } while (!r->bad && !(b & 0x80));
  return x;
}

static lfb_constant take_string(lfb_reader *r) {
  size_t size = take_size(r);
  lfb_constant s = {NULL, 0};
  if (size > 0) {
    s.len = size - 1;
    s.text = (const char *)lfb_take(r, s.len);
  }
  return s;
}

static lfb_constant take_constant(lfb_reader *r) {
  switch (lfb_take_byte(r)) {
  case 0x13: /* float */
    lfb_take(r, sizeof(lua_Number));
    break;
  case 0x03: /* integer */
    lfb_take(r, sizeof(lua_Integer));
    break;
  case 0x04: /* short and long string */
  case 0x14:
    return take_string(r);
  }
  return (lfb_constant){NULL, 0};
}

static void skip_debug(lfb_reader *r) {
  lfb_take(r, take_size(r));                             /* lineinfo */
  for (size_t n = take_size(r); n > 0 && !r->bad; n--) { /* abslineinfo */
    take_size(r);
    take_size(r);
  }
  for (size_t n = take_size(r); n > 0 && !r->bad; n--) { /* locals */
    take_string(r);
    take_size(r);
    take_size(r);
  }
  for (size_t n = take_size(r); n > 0 && !r->bad; n--) /* upvalues' names */
    take_string(r);
}

static bool read_head(lfb_reader *r, lfb_body *f) {
  take_string(r); /* source */
  take_size(r);   /* first line, last line */
  take_size(r);
  lfb_take(r, 3); /* parameters, is vararg, stack size */
  f->ncode = take_size(r);
  f->code = f->ncode < SIZE_MAX / 8 ? lfb_take(r, 4 * f->ncode) : NULL;
  f->nk = take_size(r);
  if (r->bad || f->nk > (size_t)(r->end - r->at))
    r->bad = true;
  else
    f->k = lf_malloc(f->nk * sizeof *f->k + 1);
  if (!f->k)
    r->bad = true;
  for (size_t i = 0; !r->bad && i < f->nk; i++)
    f->k[i] = take_constant(r);
  return !r->bad;
}

static void read_function(lfb_reader *r, const lfb_upvalues *outer, int depth) {
  lfb_body f = {0};
  lfb_upvalues u;
  if (depth > LFB_NESTING) {
    r->bad = true;
  } else if (read_head(r, &f)) {
    size_t n = take_size(r);
    lfb_read_upvalues(r, n, outer, &u);
    lfb_read_code(r, &f, &u);
    for (size_t p = take_size(r); p > 0 && !r->bad; p--)
      read_function(r, &u, depth + 1);
    skip_debug(r);
  }
  lf_free(f.k);
}

void *lfb_bytecode_notes(const void *bytes, size_t len) {
  lfb_reader r;
  lfb_reader_init(&r, bytes, len);
  const unsigned char *head = lfb_take(&r, HEADER);
  if (head && head[4] == LUA_VERSION_NUM / 100 * 16 + LUA_VERSION_NUM % 100) {
    lfb_take_byte(&r); /* number of upvalues */
    read_function(&r, NULL, 0);
  } else {
    r.bad = true;
  }
  return lfb_reader_finish(&r);
}

/* A list of n items, or a number, below 128. */
static unsigned char small(unsigned n) {
  return (unsigned char)(n | 0x80);
}

/* function(u1, ..., un) return function ... end end */
bool lfb_bytecode_maker(lf_buf *out, const unsigned char *bytes, size_t len,
                        const lfb_notes *notes) {
  unsigned n = notes->upvalues;
  unsigned char head[] = {0,
                          small(0),
                          small(0),
                          small(0),
                          (unsigned char)n,
                          0, /* ... */
                          n + 2 > 255 ? 0 : (unsigned char)(n + 2),
                          small(2),
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          small(0),
                          small(0),
                          small(1)};
  static const unsigned char tail[] = {0x80, 0x80, 0x80, 0x80};
  lfb_put_maker(head + 8, n);
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
