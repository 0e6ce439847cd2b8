/* SPDX-License-Identifier: MIT
 *
 * See type.h. A name is spelled from the inside out, as C has it: what stands
 * to the left of the thing declared, and what to the right. */
#include "runtime/cdecl/type.h"

#include "runtime/base/buf.h"
#include "runtime/base/mem.h"

#include <stdalign.h>
#include <sys/types.h>
#include <time.h>

/* --- Memory --- */

enum { BLOCK = LF_LIMIT(4096, 256) };

struct lf_carena_block {
  struct lf_carena_block *next;
  size_t used, size;
  alignas(max_align_t) unsigned char bytes[];
};

static struct lf_carena_block *block_new(lf_carena *a, size_t size) {
  size = size < BLOCK ? BLOCK : size;
  struct lf_carena_block *b = lf_malloc(sizeof *b + size);
  if (!b)
    return NULL;
  *b = (struct lf_carena_block){.next = a->blocks, .size = size};
  return a->blocks = b;
}

void *lf_carena_take(lf_carena *a, size_t size) {
  struct lf_carena_block *b = a->blocks;
  size = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
  if (!b || size > b->size - b->used)
    b = block_new(a, size);
  if (!b)
    return NULL;
  void *at = b->bytes + b->used;
  b->used += size;
  return memset(at, 0, size);
}

char *lf_carena_copy(lf_carena *a, const char *text, size_t len) {
  char *copy = lf_carena_take(a, len + 1);
  return copy ? memcpy(copy, text, len) : NULL;
}

void lf_carena_free(lf_carena *a) {
  while (a->blocks) {
    struct lf_carena_block *b = a->blocks;
    a->blocks = b->next;
    lf_free(b);
  }
}

/* The texts, one behind the other. */
static char *join(lf_carena *arena, const char *a, const char *b,
                  const char *c) {
  size_t n = strlen(a), m = strlen(b), k = strlen(c);
  char *text = lf_carena_take(arena, n + m + k + 1);
  if (!text)
    return NULL;
  memcpy(text, a, n);
  memcpy(text + n, b, m);
  memcpy(text + n + m, c, k);
  return text;
}

/* --- What needs no declaration --- */

#define IS_UNSIGNED(type) ((type)-1 > (type)1)
#define LOG2(size) ((size) == 1 ? 0 : (size) == 2 ? 1 : (size) == 4 ? 2 : 3)
#define KIND(type) (LF_C_INT8 + 2 * LOG2(sizeof(type)) + IS_UNSIGNED(type))

#define BASE(k, n)                                                             \
  .kind = (lf_ckind)(k), .name = n, .left = n, .right = "", .weight = 1
#define INTEGER(type)                                                          \
  { BASE(KIND(type), #type) }

static const lf_ctype builtin[] = {
    {BASE(KIND(char), "char"), .is_char = true},
    {BASE(LF_C_VOID, "void")},
    {BASE(LF_C_BOOL, "bool")},
    {BASE(LF_C_FLOAT, "float")},
    {BASE(LF_C_DOUBLE, "double")},
    {BASE(LF_C_OPAQUE, "FILE"), .tag = "struct _IO_FILE"},
    INTEGER(int),
    INTEGER(signed char),
    INTEGER(unsigned char),
    INTEGER(short),
    INTEGER(unsigned short),
    INTEGER(unsigned int),
    INTEGER(long),
    INTEGER(unsigned long),
    INTEGER(long long),
    INTEGER(unsigned long long),
    INTEGER(int8_t),
    INTEGER(uint8_t),
    INTEGER(int16_t),
    INTEGER(uint16_t),
    INTEGER(int32_t),
    INTEGER(uint32_t),
    INTEGER(int64_t),
    INTEGER(uint64_t),
    INTEGER(size_t),
    INTEGER(ssize_t),
    INTEGER(ptrdiff_t),
    INTEGER(intptr_t),
    INTEGER(uintptr_t),
    INTEGER(intmax_t),
    INTEGER(uintmax_t),
    INTEGER(time_t),
    INTEGER(off_t),
    INTEGER(int_least8_t),
    INTEGER(uint_least8_t),
    INTEGER(int_least16_t),
    INTEGER(uint_least16_t),
    INTEGER(int_least32_t),
    INTEGER(uint_least32_t),
    INTEGER(int_least64_t),
    INTEGER(uint_least64_t),
    INTEGER(int_fast8_t),
    INTEGER(uint_fast8_t),
    INTEGER(int_fast16_t),
    INTEGER(uint_fast16_t),
    INTEGER(int_fast32_t),
    INTEGER(uint_fast32_t),
    INTEGER(int_fast64_t),
    INTEGER(uint_fast64_t),
};

enum { BUILTIN = sizeof builtin / sizeof builtin[0] };

const lf_ctype *lf_ctype_builtin(const char *name, size_t len) {
  for (size_t i = 0; i < BUILTIN; i++)
    if (strlen(builtin[i].name) == len &&
        memcmp(builtin[i].name, name, len) == 0)
      return &builtin[i];
  return NULL;
}

const char *lf_ctype_builtin_name(size_t i) {
  return i < BUILTIN ? builtin[i].name : NULL;
}

size_t lf_ctype_size(const lf_ctype *type) {
  static const unsigned char sizes[LF_C_ARRAY + 1] = {
      [LF_C_BOOL] = sizeof(bool),
      [LF_C_INT8] = 1,
      [LF_C_UINT8] = 1,
      [LF_C_INT16] = 2,
      [LF_C_UINT16] = 2,
      [LF_C_INT32] = 4,
      [LF_C_UINT32] = 4,
      [LF_C_INT64] = 8,
      [LF_C_UINT64] = 8,
      [LF_C_FLOAT] = sizeof(float),
      [LF_C_DOUBLE] = sizeof(double),
      [LF_C_POINTER] = sizeof(void *),
  };
  return sizes[type->kind];
}

/* --- Making types --- */

static lf_ctype *type_new(lf_carena *arena, lf_ckind kind) {
  lf_ctype *t = lf_carena_take(arena, sizeof *t);
  if (t)
    t->kind = kind;
  return t;
}

/* What stands between a type and what comes to its right. */
static const char *gap(const char *left) {
  char last = left[strlen(left) - 1];
  return last == '*' || last == '(' ? "" : " ";
}

/* With both halves of its name; NULL if one is missing. */
static const lf_ctype *named(lf_carena *arena, lf_ctype *t, const char *left,
                             const char *right) {
  if (!left || !right)
    return NULL;
  t->left = left;
  t->right = right;
  t->name =
      *right ? join(arena, left, *right == '(' ? gap(left) : "", right) : left;
  return t->name ? t : NULL;
}

const lf_ctype *lf_ctype_pointer(lf_carena *arena, const lf_ctype *to) {
  lf_ctype *t = type_new(arena, LF_C_POINTER);
  bool apart = *to->right == '(' || *to->right == '[';
  if (!t)
    return NULL;
  t->weight = to->weight + 1;
  for (t->to = to; t->to->kind == LF_C_ARRAY;)
    t->to = t->to->to;
  return named(arena, t,
               join(arena, to->left, gap(to->left), apart ? "(*" : "*"),
               apart ? join(arena, ")", to->right, "") : to->right);
}

const lf_ctype *lf_ctype_array(lf_carena *arena, const lf_ctype *of,
                               const char *size) {
  lf_ctype *t = type_new(arena, LF_C_ARRAY);
  char *own = join(arena, "[", size, "]");
  if (!t || !own)
    return NULL;
  t->to = of;
  t->weight = of->weight + 1;
  return named(arena, t, of->left, join(arena, own, of->right, ""));
}

static int put_declared(lf_buf *buf, const lf_ctype *type, const char *name) {
  int err = lf_buf_put_text(buf, type->left);
  if (err == 0 && *name)
    err = lf_buf_put_text(buf, gap(type->left));
  if (err == 0)
    err = lf_buf_put_text(buf, name);
  return err ? err : lf_buf_put_text(buf, type->right);
}

/* "(int, ...)", with the names of the parameters or without. */
static int put_params(lf_buf *buf, const lf_cfunc *f, bool names) {
  int err = lf_buf_put_text(buf, f->nparams ? "(" : "(void");
  for (int i = 0; i < f->nparams && err == 0; i++) {
    const lf_cparam *p = &f->params[i];
    err = lf_buf_put_text(buf, i > 0 ? ", " : "");
    if (err == 0)
      err = put_declared(buf, p->type, names ? p->name : "");
  }
  return err ? err : lf_buf_put_text(buf, f->variadic ? ", ...)" : ")");
}

static char *keep(lf_carena *arena, int err, lf_buf *buf) {
  char *text = err ? NULL : lf_carena_copy(arena, (char *)buf->data, buf->len);
  lf_buf_fini(buf);
  return text;
}

const char *lf_ctype_spell(lf_carena *arena, const lf_ctype *type,
                           const char *name) {
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  int err = put_declared(&buf, type, name);
  return keep(arena, err, &buf);
}

const lf_ctype *lf_ctype_function(lf_carena *arena, lf_cfunc *f) {
  lf_ctype *t = type_new(arena, LF_C_FUNCTION);
  if (!t)
    return NULL;
  lf_buf right;
  lf_buf_init(&right, NULL, 0);
  int err = put_params(&right, f, false);
  if (err == 0)
    err = lf_buf_put_text(&right, f->result->right);
  t->function = f;
  t->weight = 1 + f->result->weight;
  for (int i = 0; i < f->nparams; i++)
    t->weight += f->params[i].type->weight;
  if (!named(arena, t, f->result->left, keep(arena, err, &right)))
    return NULL;
  f->name = "";
  f->text = t->name;
  return t;
}

int lf_cfunc_name(lf_carena *arena, lf_cfunc *f, const char *name) {
  lf_buf buf;
  lf_buf_init(&buf, NULL, 0);
  int err = lf_buf_put_text(&buf, f->result->left);
  if (err == 0)
    err = lf_buf_put_text(&buf, gap(f->result->left));
  if (err == 0)
    err = lf_buf_put_text(&buf, name);
  if (err == 0)
    err = put_params(&buf, f, true);
  if (err == 0)
    err = lf_buf_put_text(&buf, f->result->right);
  char *text = keep(arena, err, &buf);
  if (!text)
    return LF_ENOMEM;
  f->name = name;
  f->text = text;
  return 0;
}

const lf_ctype *lf_ctype_opaque(lf_carena *arena, const char *tag,
                                const char *name) {
  lf_ctype *t = type_new(arena, LF_C_OPAQUE);
  if (!t)
    return NULL;
  t->tag = tag;
  t->weight = 1;
  return named(arena, t, name, "");
}

/* The elements of an array are const, not the array. */
const lf_ctype *lf_ctype_const(lf_carena *arena, const lf_ctype *type) {
  if (type->is_const || type->kind == LF_C_FUNCTION)
    return type;
  lf_ctype *t = type_new(arena, type->kind);
  if (!t)
    return NULL;
  *t = *type;
  if (type->kind == LF_C_ARRAY) {
    t->to = lf_ctype_const(arena, type->to);
    return t->to ? named(arena, t, join(arena, "const ", type->left, ""),
                         type->right)
                 : NULL;
  }
  t->is_const = true;
  t->plain = type;
  bool behind = *gap(type->left) == '\0';
  return named(arena, t,
               behind ? join(arena, type->left, "const", "")
                      : join(arena, "const ", type->left, ""),
               type->right);
}

const lf_ctype *lf_ctype_alias(lf_carena *arena, const lf_ctype *type,
                               const char *name) {
  lf_ctype *t = type_new(arena, type->kind);
  if (!t)
    return NULL;
  *t = *type;
  return named(arena, t, name, "");
}

const lf_ctype *lf_ctype_plain(const lf_ctype *type) {
  return type->plain ? type->plain : type;
}

/* --- Comparing them --- */

static bool same_function(const lf_cfunc *f, const lf_cfunc *g) {
  if (f->nparams != g->nparams || f->variadic != g->variadic ||
      !lf_ctype_equal(f->result, g->result))
    return false;
  for (int i = 0; i < f->nparams; i++)
    if (!lf_ctype_equal(f->params[i].type, g->params[i].type))
      return false;
  return true;
}

/* Their weight bounds how deep and how long this goes. */
bool lf_ctype_equal(const lf_ctype *a, const lf_ctype *b) {
  for (; a != b; a = a->to, b = b->to) {
    if (a->kind != b->kind || a->is_const != b->is_const ||
        a->is_char != b->is_char)
      return false;
    if (a->kind == LF_C_OPAQUE)
      return strcmp(a->tag, b->tag) == 0;
    if (a->kind == LF_C_FUNCTION)
      return same_function(a->function, b->function);
    if (a->kind != LF_C_POINTER && a->kind != LF_C_ARRAY)
      return true;
  }
  return true;
}
