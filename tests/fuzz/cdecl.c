/* SPDX-License-Identifier: MIT
 *
 * Any bytes as C declarations: for libFuzzer (make fuzz), and for tests/c/cdecl
 * with what lies in tests/fuzz/corpus. Whatever comes out is looked at, so that
 * a sanitizer sees it; a message has to have its form. */
#include "runtime/cdecl/cdecl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
  if (!holds)
    abort();
}

static void check_message(lf_buf *why) {
  int lines = 1;
  require(why->len > 7 && memcmp(why->data, "cdef:", 5) == 0);
  for (size_t i = 0; i < why->len; i++) {
    lines += why->data[i] == '\n';
    require(why->data[i] >= ' ' || why->data[i] == '\n' ||
            why->data[i] == '\t');
  }
  require(lines == 3 && why->data[why->len - 1] == '^');
  lf_buf_reset(why);
}

static void check_type(const lf_ctype *type) {
  for (; type->kind == LF_C_POINTER; type = type->to) {
    require(strlen(type->name) > 0 && lf_ctype_equal(type, type));
    require(lf_ctype_size(type) == sizeof(void *));
  }
  require(type->kind != LF_C_ARRAY);
  require(type->kind != LF_C_OPAQUE || type->tag);
  require(type->kind != LF_C_FUNCTION || type->function->result);
}

static bool is_passable(const lf_ctype *type) {
  return type->kind > LF_C_VOID && type->kind <= LF_C_POINTER;
}

static void check_function(const lf_cfunc *f) {
  require(strlen(f->name) > 0 && strstr(f->text, f->name) && f->line > 0);
  require(f->nparams <= LF_C_PARAMS);
  require(f->result->kind == LF_C_VOID || is_passable(f->result));
  check_type(f->result);
  for (int i = 0; i < f->nparams; i++) {
    require(is_passable(f->params[i].type) && f->params[i].name);
    check_type(f->params[i].type);
  }
}

/* A prototype that came out can be read by itself, if no typedef is needed. */
static void check_again(const lf_cfunc *f, lf_buf *why) {
  lf_buf text;
  lf_cdecl *again;
  lf_buf_init(&text, NULL, 0);
  require(lf_buf_put_text(&text, f->text) == 0 &&
          lf_buf_put(&text, ";", 1) == 0);
  int err = lf_cdecl_read((char *)text.data, text.len, &again, why);
  require(err == 0 || strstr(f->text, "struct") ||
          memmem(why->data, why->len, "unknown", 7) ||
          memmem(why->data, why->len, "expected", 8) ||
          memmem(why->data, why->len, "without a name", 14));
  lf_buf_reset(why);
  if (err == 0) {
    require(again->nfunctions == 1 &&
            strcmp(again->functions[0].text, f->text) == 0);
    lf_cdecl_free(again);
  }
  lf_buf_fini(&text);
}

static void extend(lf_cdecl *decl, const lf_cfunc *f, const char *types,
                   size_t len, lf_buf *why) {
  const lf_cfunc *more;
  int err = lf_cdecl_extend(decl, f, types, len, &more, why);
  if (err) {
    check_message(why);
    return;
  }
  require(f->variadic && !more->variadic && more->nparams >= f->nparams);
  check_function(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lf_cdecl *decl;
  lf_buf why;
  lf_buf_init(&why, NULL, 0);
  const char *text = (const char *)data;
  if (lf_cdecl_read(text, size, &decl, &why) != 0) {
    check_message(&why);
    lf_buf_fini(&why);
    return 0;
  }
  for (size_t i = 0; i < decl->nfunctions; i++) {
    const lf_cfunc *f = &decl->functions[i];
    check_function(f);
    check_again(f, &why);
    extend(decl, f, "int, float, char *", 18, &why);
    extend(decl, f, text, size < 64 ? size : 64, &why);
    check_function(f);
  }
  for (size_t i = 0; i < decl->nconstants; i++)
    require(strlen(decl->constants[i].name) > 0);
  lf_cdecl_free(decl);
  lf_buf_fini(&why);
  return 0;
}
