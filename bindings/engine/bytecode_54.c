/* SPDX-License-Identifier: MIT
 *
 * See bytecode.h: of Lua 5.4. The format is that of ldump.c and the
 * instructions those of lopcodes.h. A global 'x' is _ENV.x: an instruction that
 * indexes an upvalue by a constant. Which upvalues are _ENV is known by their
 * values only, as bytecode may be stripped of names. Where an upvalue is used
 * otherwise (taken into a register, as _ENV is in functions with very many
 * constants), all string constants of that function count as names. */
#include "bindings/engine/bytecode.h"

#include <string.h>

#include "bindings/engine/compat.h"
#include "runtime/base/mem.h"

/* To read: lopcodes.h. */
enum {
  LFB_OP_GETUPVAL = 9,
  LFB_OP_SETUPVAL = 10,
  LFB_OP_GETTABUP = 11,
  LFB_OP_GETFIELD = 14,
  LFB_OP_SETTABUP = 15,
  LFB_OP_SELF = 20,
  LFB_OP_RETURN = 70,
  LFB_OP_CLOSURE = 79,
};

/* To write: the first function in it into register 'a'; that register
 * returned alone, after closing the upvalues. */
#define LFB_MAKE_CLOSURE(a) (LFB_OP_CLOSURE | (uint32_t)(a) << 7)
#define LFB_MAKE_RETURN(a)                                                     \
  (LFB_OP_RETURN | (uint32_t)(a) << 7 | 1u << 15 | 2u << 16)

enum {
  UPVALUES = 256,
  NONE = 0xffff,
  NESTING = 200, /* LUAI_MAXCCALLS: the compiler nests no deeper */
  HEADER = 4 + 1 + 1 + 6 + 3 + sizeof(lua_Integer) + sizeof(lua_Number),
  MOST = 250, /* upvalues of what a maker makes: they are its registers */
};

/* A function's upvalues: which they are of the outermost function, or NONE. */
typedef struct {
  uint16_t outer[UPVALUES];
} upvalues;

typedef struct {
  const unsigned char *at, *begin, *end;
  bool bad;
  lfb_notes found; /* all but the names */
  lf_buf names, fields;
} reader;

/* A constant that is a string, else text is NULL. */
typedef struct {
  const char *text;
  size_t len;
} constant;

static const unsigned char *take(reader *r, size_t n) {
  if (r->bad || (size_t)(r->end - r->at) < n) {
    r->bad = true;
    return NULL;
  }
  const unsigned char *at = r->at;
  r->at += n;
  return at;
}

static unsigned take_byte(reader *r) {
  const unsigned char *b = take(r, 1);
  return b ? *b : 0;
}

/* Seven bits a byte, most significant first, the last with the top bit. */
static size_t take_size(reader *r) {
  size_t x = 0;
  unsigned b;
  do {
    b = take_byte(r);
    x = (x << 7) | (b & 0x7f);
  } while (!r->bad && !(b & 0x80));
  return x;
}

static constant take_string(reader *r) {
  size_t size = take_size(r);
  constant s = {NULL, 0};
  if (size > 0) {
    s.len = size - 1;
    s.text = (const char *)take(r, s.len);
  }
  return s;
}

/* Looked up in the n upvalues of the outermost function. */
static void add_name(reader *r, constant s, const unsigned char *in,
                     unsigned n) {
  unsigned char count = (unsigned char)n;
  if (n == 0 || !s.text || memchr(s.text, '\0', s.len))
    return;
  if (lf_buf_put(&r->names, &count, 1) || lf_buf_put(&r->names, in, n) ||
      lf_buf_put(&r->names, s.text, s.len) || lf_buf_put(&r->names, "", 1))
    r->bad = true;
  else
    r->found.count++;
}

/* The name of a field or method. */
static void add_field(reader *r, constant s) {
  if (!s.text || memchr(s.text, '\0', s.len))
    return;
  if (lf_buf_put(&r->fields, "", 1) || lf_buf_put(&r->fields, s.text, s.len) ||
      lf_buf_put(&r->fields, "", 1))
    r->bad = true;
}

static constant take_constant(reader *r) {
  switch (take_byte(r)) {
  case 0x13: /* float */
    take(r, sizeof(lua_Number));
    break;
  case 0x03: /* integer */
    take(r, sizeof(lua_Integer));
    break;
  case 0x04: /* short and long string */
  case 0x14:
    return take_string(r);
  }
  return (constant){NULL, 0};
}

/* Where things are in a function that is being read. */
typedef struct {
  const unsigned char *code;
  size_t ncode;
  constant *k;
  size_t nk;
} body;

static void add_global(reader *r, const body *f, unsigned upvalue,
                       unsigned name) {
  unsigned char in = (unsigned char)upvalue;
  if (upvalue != NONE && name < f->nk)
    add_name(r, f->k[name], &in, 1);
}

static void note_assignment(lfb_notes *notes, unsigned upvalue) {
  notes->assigns = true;
  notes->assigned[upvalue / 8 % 32] |= (unsigned char)(1u << upvalue % 8);
}

/* Which constants are names of fields and methods. A function with more of them
 * than an instruction can name has any of them in a register. */
static void read_fields(reader *r, const body *f) {
  bool used[256] = {false};
  for (size_t i = 0; i < f->ncode; i++) {
    const unsigned char *code = f->code + 4 * i;
    unsigned op = code[0] & 0x7f;
    if (op == LFB_OP_GETFIELD || (op == LFB_OP_SELF && code[1] & 0x80))
      used[code[3]] = true;
  }
  for (size_t i = 0; i < f->nk; i++)
    if (i > 255 || f->nk > 256 || used[i])
      add_field(r, f->k[i]);
}

/* What the instructions do with upvalues. */
static void read_code(reader *r, const body *f, const upvalues *u) {
  bool taken[UPVALUES] = {false};
  unsigned char list[UPVALUES];
  unsigned n = 0;
  for (size_t i = 0; i < f->ncode; i++) {
    const unsigned char *code = f->code + 4 * i;
    unsigned op = code[0] & 0x7f, b = code[2], c = code[3];
    unsigned a = (unsigned)(code[0] >> 7 | (code[1] & 0x7f) << 1);
    if (op == LFB_OP_GETTABUP)
      add_global(r, f, u->outer[b], c);
    else if (op == LFB_OP_SETTABUP)
      add_global(r, f, u->outer[a], b);
    else if (op == LFB_OP_SETUPVAL && u->outer[b] != NONE)
      note_assignment(&r->found, u->outer[b]);
    else if (op == LFB_OP_GETUPVAL && u->outer[b] != NONE)
      taken[u->outer[b]] = true;
  }
  for (unsigned i = 0; i < UPVALUES - 1; i++)
    if (taken[i])
      list[n++] = (unsigned char)i;
  for (size_t i = 0; n > 0 && i < f->nk; i++)
    add_name(r, f->k[i], list, n);
}

static void skip_debug(reader *r) {
  take(r, take_size(r));                                 /* lineinfo */
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

static bool read_head(reader *r, body *f) {
  take_string(r); /* source */
  take_size(r);   /* first line, last line */
  take_size(r);
  take(r, 3); /* parameters, is vararg, stack size */
  f->ncode = take_size(r);
  f->code = f->ncode < SIZE_MAX / 8 ? take(r, 4 * f->ncode) : NULL;
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

/* Those of a function in another with the upvalues 'outer'; NULL: of the
 * outermost one. */
static void read_upvalues(reader *r, const upvalues *outer, upvalues *u) {
  memset(u, 0xff, sizeof *u);
  size_t n = take_size(r);
  if (n >= UPVALUES)
    r->bad = true;
  if (!outer) {
    r->found.upvalues = (unsigned)n;
    r->found.upvalues_at = (size_t)(r->at - r->begin);
  }
  for (size_t i = 0; i < n && !r->bad; i++) {
    bool in_stack = take_byte(r);
    unsigned index = take_byte(r);
    take_byte(r); /* kind */
    if (!outer)
      u->outer[i] = (uint16_t)i;
    else if (!in_stack)
      u->outer[i] = outer->outer[index];
  }
}

static void read_function(reader *r, const upvalues *outer, int depth) {
  body f = {0};
  upvalues u;
  if (depth > NESTING) {
    r->bad = true;
  } else if (read_head(r, &f)) {
    read_upvalues(r, outer, &u);
    if (!r->bad)
      read_code(r, &f, &u);
    if (!r->bad)
      read_fields(r, &f);
    for (size_t p = take_size(r); p > 0 && !r->bad; p--)
      read_function(r, &u, depth + 1);
    skip_debug(r);
  }
  lf_free(f.k);
}

void *lfb_bytecode_notes(const void *bytes, size_t len) {
  reader r = {.at = bytes, .begin = bytes};
  r.end = r.begin + len;
  lf_buf_init(&r.names, NULL, 0);
  lf_buf_init(&r.fields, NULL, 0);
  const unsigned char *head = take(&r, HEADER);
  lfb_notes *notes = NULL;
  if (head && head[4] == LUA_VERSION_NUM / 100 * 16 + LUA_VERSION_NUM % 100) {
    take_byte(&r); /* number of upvalues */
    read_function(&r, NULL, 0);
    if (!r.bad && r.at == r.end)
      notes = lf_malloc(sizeof *notes + r.names.len + r.fields.len);
  }
  if (notes) {
    *notes = r.found;
    notes->size = r.names.len;
    if (r.names.len > 0)
      memcpy(notes->names, r.names.data, r.names.len);
    notes->fields = r.fields.len;
    if (r.fields.len > 0)
      memcpy(notes->names + r.names.len, r.fields.data, r.fields.len);
  }
  lf_buf_fini(&r.names);
  lf_buf_fini(&r.fields);
  return notes;
}

static bool next_before(const lfb_notes *notes, size_t end, size_t *at,
                        lfb_name *name) {
  if (*at >= end)
    return false;
  const unsigned char *p = notes->names + *at;
  name->count = *p++;
  name->upvalues = p;
  name->text = (const char *)p + name->count;
  *at += 1 + name->count + strlen(name->text) + 1;
  return true;
}

bool lfb_next_name(const lfb_notes *notes, size_t *at, lfb_name *name) {
  return next_before(notes, notes->size, at, name);
}

bool lfb_next_field(const lfb_notes *notes, size_t *at, lfb_name *name) {
  return next_before(notes, notes->size + notes->fields, at, name);
}

/* A list of n items, or a number, below 128. */
static unsigned char small(unsigned n) {
  return (unsigned char)(n | 0x80);
}

static void put_instruction(unsigned char *at, uint32_t instruction) {
  memcpy(at, &instruction, sizeof instruction);
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
  put_instruction(head + 8, LFB_MAKE_CLOSURE(n));
  put_instruction(head + 12, LFB_MAKE_RETURN(n));
  size_t before = out->len;
  if (n > MOST || lf_buf_put(out, bytes, HEADER) != 0 ||
      lf_buf_put(out, head, sizeof head) != 0 ||
      lf_buf_put(out, bytes + HEADER + 1, len - HEADER - 1) != 0 ||
      lf_buf_put(out, tail, sizeof tail) != 0) {
    out->len = before;
    return false;
  }
  unsigned char *u = out->data + before + HEADER + sizeof head +
                     notes->upvalues_at - HEADER - 1;
  for (unsigned i = 0; i < n; i++, u += 3) {
    u[0] = 1; /* a variable of the maker: its i-th */
    u[1] = (unsigned char)i;
  }
  return true;
}
