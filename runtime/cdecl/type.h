/* SPDX-License-Identifier: MIT
 *
 * The types of C as declarations build them, and the memory that they live in.
 * A type does not change once it is made. Any thread. */
#ifndef LF_CDECL_TYPE_H
#define LF_CDECL_TYPE_H

#include "runtime/base/base.h"

typedef enum {
  LF_C_VOID,
  LF_C_BOOL,
  LF_C_INT8,
  LF_C_UINT8,
  LF_C_INT16,
  LF_C_UINT16,
  LF_C_INT32,
  LF_C_UINT32,
  LF_C_INT64,
  LF_C_UINT64,
  LF_C_FLOAT,
  LF_C_DOUBLE,
  LF_C_POINTER,
  LF_C_OPAQUE,   /* only behind a pointer: struct, union, FILE */
  LF_C_FUNCTION, /* the same: any function */
  LF_C_ARRAY, /* never seen by others: a pointer to one points to an element */
} lf_ckind;

typedef struct lf_ctype {
  lf_ckind kind;
  bool is_const; /* it is itself; of use behind a pointer: 'const char *' is a
                    pointer to a char that is const */
  bool is_char;  /* char, plain: LF_C_INT8 or LF_C_UINT8 */
  const struct lf_ctype *to;       /* LF_C_POINTER: what it points to */
  const struct lf_cfunc *function; /* LF_C_FUNCTION; its name and line: none */
  const char *tag;  /* LF_C_OPAQUE: "struct x", whatever 'name' */
  const char *name; /* as it was declared: "unsigned long", "gzFile",
                       "struct x", "const uint8_t *" */

  /* For type.c. */
  const char *left, *right;     /* the name, around that of what is declared */
  const struct lf_ctype *plain; /* without const; NULL: it has none */
  unsigned weight;              /* how many types it is made of */
} lf_ctype;

typedef struct {
  const char *name; /* "" if the prototype gives none */
  const lf_ctype *type;
} lf_cparam;

enum { LF_C_PARAMS = 64, LF_C_WEIGHT = 1024 };

typedef struct lf_cfunc {
  const char *name;
  const char *text; /* the prototype, spelled anew: "int f(int a, long b)" */
  int line;         /* where it stands */
  const lf_ctype *result;
  int nparams;
  bool variadic; /* cannot be called before its further types are known */
  const lf_cparam *params;
} lf_cfunc;

/* From an enumeration or a macro. */
typedef struct {
  const char *name;
  int64_t value; /* of an unsigned one above INT64_MAX, the same bits */
} lf_cconst;

/* Bytes of a scalar or a pointer; 0 of others. */
size_t lf_ctype_size(const lf_ctype *type);

/* Are they the same type, whatever their names are? */
bool lf_ctype_equal(const lf_ctype *a, const lf_ctype *b);

/* --- For the reader --- */

/* Memory that is given back as a whole. */
typedef struct {
  struct lf_carena_block *blocks;
} lf_carena;

/* Zeroed; NULL when there is no memory. */
void *lf_carena_take(lf_carena *arena, size_t size);
char *lf_carena_copy(lf_carena *arena, const char *text, size_t len);
void lf_carena_free(lf_carena *arena);

/* "unsigned long", "size_t", ...: what needs no declaration, or NULL. */
const lf_ctype *lf_ctype_builtin(const char *name, size_t len);

/* Goes through their names from 0 on; NULL behind the last. */
const char *lf_ctype_builtin_name(size_t i);

/* These make a type of others, which have to live as long; NULL when there is
 * no memory. 'size' is what stands between the brackets; 'function' has result,
 * parameters and 'variadic', and gets its text here. */
const lf_ctype *lf_ctype_pointer(lf_carena *arena, const lf_ctype *to);
const lf_ctype *lf_ctype_array(lf_carena *arena, const lf_ctype *of,
                               const char *size);
const lf_ctype *lf_ctype_function(lf_carena *arena, lf_cfunc *function);
const lf_ctype *lf_ctype_opaque(lf_carena *arena, const char *tag,
                                const char *name);
const lf_ctype *lf_ctype_const(lf_carena *arena, const lf_ctype *type);
const lf_ctype *lf_ctype_alias(lf_carena *arena, const lf_ctype *type,
                               const char *name);

/* How something of that type is declared: "char *name". */
const char *lf_ctype_spell(lf_carena *arena, const lf_ctype *type,
                           const char *name);

/* Without const. */
const lf_ctype *lf_ctype_plain(const lf_ctype *type);

/* The same function with this name, and the text that goes with it. LF_ENOMEM:
 * nothing has changed. */
int lf_cfunc_name(lf_carena *arena, lf_cfunc *function, const char *name);

#endif
