/* SPDX-License-Identifier: MIT
 *
 * See bytecode.h and internal.h: what is the same in all versions of Lua. */
#include "bindings/engine/bytecode.h"

#include <string.h>

#include "bindings/engine/internal.h"
#include "runtime/base/mem.h"

void lfb_reader_init(lfb_reader *r, const void *bytes, size_t len) {
  *r = (lfb_reader){.at = bytes, .begin = bytes};
  r->end = r->begin + len;
  lf_buf_init(&r->names, NULL, 0);
  lf_buf_init(&r->fields, NULL, 0);
}

const unsigned char *lfb_take(lfb_reader *r, size_t n) {
  if (r->bad || (size_t)(r->end - r->at) < n) {
    r->bad = true;
    return NULL;
  }
  const unsigned char *at = r->at;
  r->at += n;
  return at;
}

unsigned lfb_take_byte(lfb_reader *r) {
  const unsigned char *b = lfb_take(r, 1);
  return b ? *b : 0;
}

void lfb_add_name(lfb_reader *r, lfb_constant name, const unsigned char *in,
                  unsigned n) {
  unsigned char count = (unsigned char)n;
  if (n == 0 || !name.text || memchr(name.text, '\0', name.len))
    return;
  if (lf_buf_put(&r->names, &count, 1) || lf_buf_put(&r->names, in, n) ||
      lf_buf_put(&r->names, name.text, name.len) ||
      lf_buf_put(&r->names, "", 1))
    r->bad = true;
  else
    r->found.count++;
}

void lfb_add_field(lfb_reader *r, lfb_constant name) {
  if (!name.text || memchr(name.text, '\0', name.len))
    return;
  if (lf_buf_put(&r->fields, "", 1) ||
      lf_buf_put(&r->fields, name.text, name.len) ||
      lf_buf_put(&r->fields, "", 1))
    r->bad = true;
}

void lfb_add_assignment(lfb_reader *r, unsigned upvalue) {
  r->found.assigns = true;
  r->found.assigned[upvalue / 8 % 32] |= (unsigned char)(1u << upvalue % 8);
}

lfb_notes *lfb_reader_finish(lfb_reader *r) {
  lfb_notes *notes = NULL;
  if (!r->bad && r->at == r->end)
    notes = lf_malloc(sizeof *notes + r->names.len + r->fields.len);
  if (notes) {
    *notes = r->found;
    notes->size = r->names.len;
    if (r->names.len > 0)
      memcpy(notes->names, r->names.data, r->names.len);
    notes->fields = r->fields.len;
    if (r->fields.len > 0)
      memcpy(notes->names + r->names.len, r->fields.data, r->fields.len);
  }
  lf_buf_fini(&r->names);
  lf_buf_fini(&r->fields);
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

bool lfb_has_field(const lfb_notes *notes, const char *wanted) {
  lfb_name name;
  for (size_t at = notes->size; lfb_next_field(notes, &at, &name);)
    if (strcmp(name.text, wanted) == 0)
      return true;
  return false;
}
