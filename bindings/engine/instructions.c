/* SPDX-License-Identifier: MIT
 *
 * See internal.h: the instructions of PUC-Lua, as lopcodes.h has them. A global
 * 'x' is _ENV.x: an instruction that indexes an upvalue by a constant. Which
 * upvalues are _ENV is known by their values only, as bytecode may be stripped
 * of names. Where an upvalue is used otherwise (taken into a register, as _ENV
 * is in functions with very many constants), all string constants of that
 * function count as names. */
#include <string.h>

#include "bindings/engine/compat.h"
#include "bindings/engine/internal.h"

/* To read. */
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

/* To write. */
#define LFB_MAKE_CLOSURE(a) (LFB_OP_CLOSURE | (uint32_t)(a) << 7)
#define LFB_MAKE_RETURN(a)                                                     \
  (LFB_OP_RETURN | (uint32_t)(a) << 7 | 1u << 15 | 2u << 16)

static void add_global(lfb_reader *r, const lfb_body *f, unsigned upvalue,
                       unsigned name) {
  unsigned char in = (unsigned char)upvalue;
  if (upvalue != LFB_NO_UPVALUE && name < f->nk)
    lfb_add_name(r, f->k[name], &in, 1);
}

/* Is the name a constant? In 5.4 a bit says whether it is in a register. */
static bool names_method(const unsigned char *code) {
  return (code[0] & 0x7f) == LFB_OP_SELF &&
         (LUA_VERSION_NUM > 504 || code[1] & 0x80);
}

/* Which constants are names of fields and methods. A function with more of them
 * than an instruction can name has any of them in a register. */
static void read_fields(lfb_reader *r, const lfb_body *f) {
  bool used[256] = {false};
  for (size_t i = 0; i < f->ncode; i++) {
    const unsigned char *code = f->code + 4 * i;
    if ((code[0] & 0x7f) == LFB_OP_GETFIELD || names_method(code))
      used[code[3]] = true;
  }
  for (size_t i = 0; i < f->nk; i++)
    if (i > 255 || f->nk > 256 || used[i])
      lfb_add_field(r, f->k[i]);
}

static void read_names(lfb_reader *r, const lfb_body *f,
                       const lfb_upvalues *u) {
  bool taken[LFB_UPVALUES] = {false};
  unsigned char list[LFB_UPVALUES];
  unsigned n = 0;
  for (size_t i = 0; i < f->ncode; i++) {
    const unsigned char *code = f->code + 4 * i;
    unsigned op = code[0] & 0x7f, b = code[2], c = code[3];
    unsigned a = (unsigned)(code[0] >> 7 | (code[1] & 0x7f) << 1);
    if (op == LFB_OP_GETTABUP)
      add_global(r, f, u->outer[b], c);
    else if (op == LFB_OP_SETTABUP)
      add_global(r, f, u->outer[a], b);
    else if (op == LFB_OP_SETUPVAL && u->outer[b] != LFB_NO_UPVALUE)
      lfb_add_assignment(r, u->outer[b]);
    else if (op == LFB_OP_GETUPVAL && u->outer[b] != LFB_NO_UPVALUE)
      taken[u->outer[b]] = true;
  }
  for (unsigned i = 0; i < LFB_UPVALUES - 1; i++)
    if (taken[i])
      list[n++] = (unsigned char)i;
  for (size_t i = 0; n > 0 && i < f->nk; i++)
    lfb_add_name(r, f->k[i], list, n);
}

void lfb_read_code(lfb_reader *r, const lfb_body *f, const lfb_upvalues *u) {
  if (!r->bad)
    read_names(r, f, u);
  if (!r->bad)
    read_fields(r, f);
}

void lfb_read_upvalues(lfb_reader *r, size_t n, const lfb_upvalues *outer,
                       lfb_upvalues *u) {
  memset(u, 0xff, sizeof *u);
  if (n >= LFB_UPVALUES)
    r->bad = true;
  if (!outer) {
    r->found.upvalues = (unsigned)n;
    r->found.upvalues_at = (size_t)(r->at - r->begin);
  }
  for (size_t i = 0; i < n && !r->bad; i++) {
    bool in_stack = lfb_take_byte(r);
    unsigned index = lfb_take_byte(r);
    lfb_take_byte(r); /* kind */
    if (!outer)
      u->outer[i] = (uint16_t)i;
    else if (!in_stack)
      u->outer[i] = outer->outer[index];
  }
}

static void put_instruction(unsigned char *at, uint32_t instruction) {
  memcpy(at, &instruction, sizeof instruction);
}

void lfb_put_maker(unsigned char *at, unsigned a) {
  put_instruction(at, LFB_MAKE_CLOSURE(a));
  put_instruction(at + 4, LFB_MAKE_RETURN(a));
}

void lfb_localize_upvalues(unsigned char *at, unsigned n) {
  for (unsigned i = 0; i < n; i++, at += 3) {
    at[0] = 1; /* a variable of the maker: its i-th */
    at[1] = (unsigned char)i;
  }
}
