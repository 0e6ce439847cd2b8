/* SPDX-License-Identifier: MIT
 *
 * What a dumped Lua function says about itself: the globals that it names, and
 * how closures of it are made without loading it each time. */
#ifndef LFB_ENGINE_BYTECODE_H
#define LFB_ENGINE_BYTECODE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/base/buf.h"

/* One block of memory. */
typedef struct {
  unsigned upvalues; /* how many it has */
  bool assigns; /* it, or a function in it, assigns to one of them: to which */
  unsigned char assigned[32];
  size_t upvalues_at;    /* where their descriptions begin in the bytes */
  size_t count, size;    /* names; bytes of them */
  size_t fields;         /* bytes of the names of fields, which follow them */
  unsigned char names[]; /* each as lfb_name says */
} lfb_notes;

/* A name that the function looks up in one of some upvalues: that is a global
 * if the upvalue is _ENV. How many of them, their numbers from 0 on, the name
 * with a zero behind it. */
typedef struct {
  const unsigned char *upvalues;
  unsigned count;
  const char *text;
} lfb_name;

/* The name at '*at', an offset in the notes' names that begins with 0 and is
 * moved behind it. False: there are no more. */
bool lfb_next_name(const lfb_notes *notes, size_t *at, lfb_name *name);

/* The same, also of names that are looked up as fields or methods of something:
 * their 'count' is 0. */
bool lfb_next_field(const lfb_notes *notes, size_t *at, lfb_name *name);

/* Is that name looked up as a field or a method of something? */
bool lfb_has_field(const lfb_notes *notes, const char *wanted);

/* Is the upvalue, counted from 0, assigned to? */
static inline bool lfb_is_assigned(const lfb_notes *notes, unsigned upvalue) {
  return notes->assigned[upvalue / 8 % 32] >> upvalue % 8 & 1;
}

/* Reads the bytes of a function as lua_dump wrote them; the result, lfb_notes,
 * is for lf_free. NULL for lack of memory (errno is ENOMEM), or when the bytes
 * are not understood. Pure; any thread. */
void *lfb_bytecode_notes(const void *bytes, size_t len);

/* Appends a function that returns a new closure of the function in 'bytes',
 * whose upvalues are new variables with the values of its arguments. False:
 * there are too many upvalues for that, or no memory (errno is ENOMEM). */
bool lfb_bytecode_maker(lf_buf *out, const unsigned char *bytes, size_t len,
                        const lfb_notes *notes);

#endif
