/* SPDX-License-Identifier: MIT
 *
 * What the readers of dumped functions share: bytes, and what is noted of them.
 * bytecode.c has what is the same for all; instructions.c what PUC-Lua's
 * instructions do. */
#ifndef LFB_ENGINE_INTERNAL_H
#define LFB_ENGINE_INTERNAL_H

#include <stdint.h>

#include "bindings/engine/bytecode.h"

enum {
  LFB_UPVALUES = 256,
  LFB_NO_UPVALUE = 0xffff,
  LFB_NESTING = 200 /* LUAI_MAXCCALLS: the compiler nests no deeper */
};

/* Bytes that are read. Once they are bad, nothing more is read: numbers are 0,
 * pointers NULL. Names are added to it on the way. */
typedef struct {
  const unsigned char *at, *begin, *end;
  bool bad;
  lfb_notes found; /* all but the names */
  lf_buf names, fields;
} lfb_reader;

void lfb_reader_init(lfb_reader *r, const void *bytes, size_t len);
const unsigned char *lfb_take(lfb_reader *r, size_t n);
unsigned lfb_take_byte(lfb_reader *r);

/* The notes of what has been read, unless it was bad or not all; for lf_free.
 * The reader is done with. */
lfb_notes *lfb_reader_finish(lfb_reader *r);

/* A constant that is a string, else text is NULL. */
typedef struct {
  const char *text;
  size_t len;
} lfb_constant;

/* The name is looked up in those n upvalues of the outermost function. */
void lfb_add_name(lfb_reader *r, lfb_constant name, const unsigned char *in,
                  unsigned n);

/* It is that of a field or method. */
void lfb_add_field(lfb_reader *r, lfb_constant name);

/* The upvalue of the outermost function is assigned to. */
void lfb_add_assignment(lfb_reader *r, unsigned upvalue);

/* --- PUC-Lua --- */

/* A function's upvalues: which they are of the outermost function, or
 * LFB_NO_UPVALUE. */
typedef struct {
  uint16_t outer[LFB_UPVALUES];
} lfb_upvalues;

/* Where things are in a function that is being read. */
typedef struct {
  const unsigned char *code;
  size_t ncode;
  lfb_constant *k;
  size_t nk;
} lfb_body;

/* Reads n descriptions of upvalues, of a function in another with the upvalues
 * 'outer'; NULL: of the outermost one. */
void lfb_read_upvalues(lfb_reader *r, size_t n, const lfb_upvalues *outer,
                       lfb_upvalues *u);

/* What the instructions do with upvalues, and with constants. */
void lfb_read_code(lfb_reader *r, const lfb_body *f, const lfb_upvalues *u);

/* Two instructions: the first function within into register 'a', which is
 * returned alone, after closing the upvalues. */
void lfb_put_maker(unsigned char *at, unsigned a);

/* The upvalues of the function that a maker makes, whose descriptions are at
 * 'at', become the maker's variables. */
void lfb_localize_upvalues(unsigned char *at, unsigned n);

enum {
  LFB_MOST_MADE = 250 /* upvalues of what a maker makes: they are its registers
                       */
};

#endif
