/* SPDX-License-Identifier: MIT
 *
 * See bytecode.h: of LuaJIT 2.1, in the format of its lj_bcdump.h. A function's
 * parts come before it, so all are found first, and then looked at. Globals are
 * in the function's environment, which stands behind its upvalues (env.h) as
 * one more. */
#include <string.h>

#include "bindings/engine/compat.h"
#include "bindings/engine/internal.h"
#include "runtime/base/mem.h"

/* lj_bc.h */
enum {
  OP_USETV = 46,
  OP_USETP = 49,
  OP_UCLO = 50,
  OP_FNEW = 51,
  OP_GGET = 54,
  OP_GSET = 55,
  OP_TGETS = 57,
  OP_RET1 = 76,
  JUMP_NOWHERE = 0x8000,
};

/* lj_bcdump.h, lj_obj.h */
enum {
  VERSION = 2,
  BIG_ENDIAN_DUMP = 1,
  STRIPPED = 2,
  CHILD = 0,
  TABLE = 1,
  COMPLEX = 4,
  STRING = 5,
  KEY_INT = 3,
  KEY_NUMBER = 4,
  KEY_STRING = 5,
  FLAG_CHILD = 1,
  UV_LOCAL = 0x8000,
  UV_IMMUTABLE = 0x4000,
  MOST_UPVALUES = 60,
};

/* A function: what is read of it, and whose part it is. */
typedef struct {
  const unsigned char *code;
  size_t ncode;
  const unsigned char *upvalues; /* two bytes each */
  unsigned nupvalues;
  size_t strings, nstrings; /* among all constants; in reverse order */
  size_t outer;             /* the number of the function that it is in */
} function;

/* All functions, all constants, and those functions that are not in another
 * yet, by number. */
typedef struct {
  lfb_reader base;
  lf_buf functions, constants, open;
  bool stripped;
} dump;

static uint32_t take_number(lfb_reader *r) {
  uint32_t x = 0;
  unsigned b, shift = 0;
  do {
    b = lfb_take_byte(r);
    if (shift < 32)
      x |= (uint32_t)(b & 0x7f) << shift;
    shift += 7;
  } while (!r->bad && b & 0x80);
  return x;
}

/* --- Constants --- */

static void skip_table_value(lfb_reader *r) {
  uint32_t type = take_number(r);
  if (type >= KEY_STRING)
    lfb_take(r, type - KEY_STRING);
  else if (type == KEY_INT)
    take_number(r);
  else if (type == KEY_NUMBER)
    take_number(r), take_number(r);
}

static void skip_table(lfb_reader *r) {
  uint32_t items = take_number(r), fields = take_number(r);
  for (; items > 0 && !r->bad; items--)
    skip_table_value(r);
  for (; fields > 0 && !r->bad; fields--) {
    skip_table_value(r);
    skip_table_value(r);
  }
}

static size_t count_of(const lf_buf *b, size_t size) {
  return b->len / size;
}

/* The function that came last and is in none is in this one, which comes next.
 */
static void adopt(dump *d) {
  size_t last;
  if (d->open.len == 0) {
    d->base.bad = true;
    return;
  }
  d->open.len -= sizeof last;
  memcpy(&last, d->open.data + d->open.len, sizeof last);
  function *f = (function *)(void *)d->functions.data;
  f[last].outer = count_of(&d->functions, sizeof *f);
}

static void read_constant(dump *d) {
  lfb_reader *r = &d->base;
  lfb_constant k = {NULL, 0};
  uint32_t type = take_number(r);
  if (type >= STRING) {
    k.len = type - STRING;
    k.text = (const char *)lfb_take(r, k.len);
  } else if (type == CHILD) {
    adopt(d);
  } else if (type == TABLE) {
    skip_table(r);
  } else {
    for (int i = type == COMPLEX ? 4 : 2; i > 0; i--)
      take_number(r);
  }
  if (lf_buf_put(&d->constants, &k, sizeof k) != 0)
    r->bad = true;
}

static void skip_number(lfb_reader *r) {
  bool whole = r->at < r->end && !(*r->at & 1);
  take_number(r);
  if (!whole)
    take_number(r);
}

/* --- Functions --- */

static void read_function(dump *d) {
  lfb_reader *r = &d->base;
  function f = {.outer = SIZE_MAX};
  lfb_take(r, 3); /* flags, parameters, size of its frame */
  f.nupvalues = lfb_take_byte(r);
  f.nstrings = take_number(r);
  uint32_t numbers = take_number(r);
  f.ncode = take_number(r);
  uint32_t debug = d->stripped ? 0 : take_number(r);
  if (debug > 0)
    take_number(r), take_number(r); /* lines */
  f.code = lfb_take(r, 4 * f.ncode);
  r->found.upvalues_at = (size_t)(r->at - r->begin);
  f.upvalues = lfb_take(r, 2 * (size_t)f.nupvalues);
  f.strings = count_of(&d->constants, sizeof(lfb_constant));
  for (size_t i = 0; i < f.nstrings && !r->bad; i++)
    read_constant(d);
  for (; numbers > 0 && !r->bad; numbers--)
    skip_number(r);
  lfb_take(r, debug);
  size_t number = count_of(&d->functions, sizeof f);
  if (lf_buf_put(&d->functions, &f, sizeof f) != 0 ||
      lf_buf_put(&d->open, &number, sizeof number) != 0)
    r->bad = true;
}

/* --- What is noted --- */

static unsigned read_u16(const unsigned char *at) {
  return at[0] | (unsigned)at[1] << 8;
}

static const lfb_constant *string_of(const dump *d, const function *f,
                                     unsigned index) {
  const lfb_constant *k = (const lfb_constant *)(void *)d->constants.data;
  return index < f->nstrings ? &k[f->strings + f->nstrings - 1 - index] : NULL;
}

/* An upvalue of f is assigned to: if it is one of the outermost function's, to
 * that. */
static void note_assignment(dump *d, const function *f, unsigned upvalue) {
  const function *all = (const function *)(void *)d->functions.data;
  while (f->outer != SIZE_MAX) {
    if (upvalue >= f->nupvalues)
      return;
    unsigned is = read_u16(f->upvalues + 2 * upvalue);
    if (is & UV_LOCAL)
      return;
    upvalue = is & ~(unsigned)UV_IMMUTABLE;
    f = &all[f->outer];
  }
  lfb_add_assignment(&d->base, upvalue);
}

static void note_global(dump *d, const function *f, unsigned index) {
  unsigned char env = (unsigned char)(d->base.found.upvalues - 1);
  const lfb_constant *k = string_of(d, f, index);
  if (k)
    lfb_add_name(&d->base, *k, &env, 1);
}

/* A function with more constants than an instruction can name has any of them
 * as the name of a field. */
static void note_fields(dump *d, const function *f) {
  bool used[256] = {false};
  for (size_t i = 0; i < f->ncode; i++)
    if (f->code[4 * i] == OP_TGETS)
      used[f->code[4 * i + 2]] = true;
  for (unsigned i = 0; i < f->nstrings; i++)
    if (i > 255 || used[i])
      lfb_add_field(&d->base, *string_of(d, f, i));
}

static void note_code(dump *d, const function *f) {
  for (size_t i = 0; i < f->ncode && !d->base.bad; i++) {
    const unsigned char *code = f->code + 4 * i;
    if (code[0] == OP_GGET || code[0] == OP_GSET)
      note_global(d, f, read_u16(code + 2));
    else if (code[0] >= OP_USETV && code[0] <= OP_USETP)
      note_assignment(d, f, code[1]);
  }
}

/* --- The whole --- */

/* Where the first function begins; 0: it is no dump that is known. */
static size_t read_header(lfb_reader *r, bool *stripped) {
  const unsigned char *head = lfb_take(r, 5);
  if (!head || memcmp(head, "\033LJ", 3) != 0 || head[3] != VERSION ||
      head[4] & BIG_ENDIAN_DUMP) {
    r->bad = true;
    return 0;
  }
  *stripped = head[4] & STRIPPED;
  if (!*stripped)
    lfb_take(r, take_number(r)); /* source */
  return (size_t)(r->at - r->begin);
}

static void read_functions(dump *d) {
  lfb_reader *r = &d->base;
  size_t size;
  while (!r->bad && (size = take_number(r)) > 0) {
    const unsigned char *begin = r->at;
    read_function(d);
    if (!r->bad && (size_t)(r->at - begin) != size)
      r->bad = true;
  }
  if (count_of(&d->open, sizeof size) != 1)
    r->bad = true;
}

void *lfb_bytecode_notes(const void *bytes, size_t len) {
  dump d = {0};
  lfb_reader_init(&d.base, bytes, len);
  read_header(&d.base, &d.stripped);
  read_functions(&d);
  size_t n = count_of(&d.functions, sizeof(function));
  const function *f = (const function *)(void *)d.functions.data;
  if (!d.base.bad)
    d.base.found.upvalues = f[n - 1].nupvalues + 1;
  for (; n > 0 && !d.base.bad; n--) {
    note_code(&d, &f[n - 1]);
    note_fields(&d, &f[n - 1]);
  }
  lf_buf_fini(&d.functions);
  lf_buf_fini(&d.constants);
  lf_buf_fini(&d.open);
  return lfb_reader_finish(&d.base);
}

/* --- Makers --- */

static void put_instruction(unsigned char *at, unsigned op, unsigned a,
                            unsigned d) {
  at[0] = (unsigned char)op;
  at[1] = (unsigned char)a;
  at[2] = (unsigned char)(d & 255);
  at[3] = (unsigned char)(d >> 8);
}

/* function(u1, ..., un) return function ... end end, which stands behind what
 * is in it. The environment is that of the maker. */
static int put_maker(lf_buf *out, unsigned n, bool stripped) {
  unsigned char code[12];
  put_instruction(code, OP_FNEW, n, 0);
  put_instruction(code + 4, OP_UCLO, 0, JUMP_NOWHERE);
  put_instruction(code + 8, OP_RET1, n, 2);
  unsigned char head[] = {0, /* its size, below */
                          FLAG_CHILD, (unsigned char)n, (unsigned char)(n + 2),
                          0, /* upvalues */
                          1, /* constants */
                          0, /* numbers */
                          3, /* instructions */
                          0 /* about lines */};
  const unsigned char tail[] = {CHILD, 0}; /* the constant, the end */
  size_t size = sizeof head - (stripped ? 1 : 0);
  head[0] = (unsigned char)(size - 1 + sizeof code + 1);
  return lf_buf_put(out, head, size) || lf_buf_put(out, code, sizeof code) ||
         lf_buf_put(out, tail, sizeof tail);
}

bool lfb_bytecode_maker(lf_buf *out, const unsigned char *bytes, size_t len,
                        const lfb_notes *notes) {
  lfb_reader r;
  bool stripped;
  size_t before = out->len;
  unsigned n = notes->upvalues - 1;
  lfb_reader_init(&r, bytes, len);
  if (n > MOST_UPVALUES || read_header(&r, &stripped) == 0 ||
      lf_buf_put(out, bytes, len - 1) != 0 || put_maker(out, n, stripped)) {
    out->len = before;
    return false;
  }
  unsigned char *u = out->data + before + notes->upvalues_at;
  for (unsigned i = 0; i < n; i++, u += 2) {
    unsigned is = UV_LOCAL | (read_u16(u) & UV_IMMUTABLE) | i;
    u[0] = (unsigned char)(is & 255);
    u[1] = (unsigned char)(is >> 8);
  }
  return true;
}
