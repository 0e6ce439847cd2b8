/* SPDX-License-Identifier: MIT
 *
 * See bytecode.h. The format is that of ldump.c and the instructions those of
 * lopcodes.h, Lua 5.4. A global 'x' is _ENV.x: an instruction that indexes the
 * upvalue _ENV by a constant. Where _ENV is used otherwise (taken into a
 * register, as in functions with very many constants), all string constants of
 * that function count as names. */
#include "bytecode.h"

#include "../runtime/buf.h"
#include "../runtime/mem.h"
#include "compat.h"

enum {
  UPVALUES = 256,
  NESTING = 200, /* LUAI_MAXCCALLS: the compiler nests no deeper */
  HEADER = 4 + 1 + 1 + 6 + 3 + sizeof(lua_Integer) + sizeof(lua_Number),
};

/* Which upvalues of a function are _ENV. */
typedef struct {
  bool is[UPVALUES];
} envs;

typedef struct {
  const unsigned char *at, *end;
  bool bad;
  lf_buf names;
  size_t count;
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

static void add_name(reader *r, constant s) {
  if (!s.text || memchr(s.text, '\0', s.len))
    return;
  if (lf_buf_put(&r->names, s.text, s.len) || lf_buf_put(&r->names, "", 1))
    r->bad = true;
  else
    r->count++;
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

/* The constant that an instruction uses as the name of a global, or -1; *all
 * is set when _ENV is used in a way that can reach any name. */
static int global_of(const unsigned char *code, const envs *env, bool *all) {
  unsigned op = code[0] & 0x7f;
  unsigned a = (unsigned)(code[0] >> 7 | (code[1] & 0x7f) << 1);
  unsigned b = code[2], c = code[3];
  if (op == LFB_OP_GETTABUP && env->is[b])
    return (int)c;
  if (op == LFB_OP_SETTABUP && env->is[a])
    return (int)b;
  if (op == LFB_OP_GETUPVAL && env->is[b])
    *all = true;
  return -1;
}

/* The code comes before the upvalues' descriptions: 'env' was worked out from
 * the parent, so both are at hand. */
static void read_globals(reader *r, const unsigned char *code, size_t n,
                         const constant *k, size_t nk, const envs *env) {
  bool all = false;
  for (size_t i = 0; i < n; i++) {
    int at = global_of(code + 4 * i, env, &all);
    if (at >= 0 && (size_t)at < nk)
      add_name(r, k[at]);
  }
  for (size_t i = 0; all && i < nk; i++)
    add_name(r, k[i]);
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
}

/* The names of a function's upvalues: those called _ENV. */
static void read_env_names(reader *r, envs *env) {
  size_t n = take_size(r);
  for (size_t i = 0; i < n && i < UPVALUES && !r->bad; i++) {
    constant s = take_string(r);
    env->is[i] = s.text && s.len == 4 && memcmp(s.text, "_ENV", 4) == 0;
  }
}

static void read_function(reader *r, const envs *parent, int depth);

/* Where things are in a function that is being read. */
typedef struct {
  const unsigned char *code;
  size_t ncode;
  constant *k;
  size_t nk;
} body;

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

/* The main function's _ENV is known by name only, and the names come last: a
 * first pass over it finds them. */
static envs find_root_env(reader copy);

static void read_rest(reader *r, body *f, const envs *parent, int depth) {
  envs env = {{false}};
  size_t n = take_size(r);
  for (size_t i = 0; i < n && i < UPVALUES; i++) {
    bool in_stack = take_byte(r);
    unsigned index = take_byte(r);
    take_byte(r); /* kind */
    env.is[i] = parent && !in_stack && parent->is[index & 0xff];
    if (!parent)
      env.is[i] = false;
  }
  if (!parent)
    env = find_root_env(*r);
  if (!r->bad)
    read_globals(r, f->code, f->ncode, f->k, f->nk, &env);
  for (size_t p = take_size(r); p > 0 && !r->bad; p--)
    read_function(r, &env, depth + 1);
  skip_debug(r);
  envs own;
  read_env_names(r, &own);
}

static void read_function(reader *r, const envs *parent, int depth) {
  body f = {0};
  if (depth > NESTING)
    r->bad = true;
  else if (read_head(r, &f))
    read_rest(r, &f, parent, depth);
  lf_free(f.k);
}

/* 'copy' stands behind the main function's upvalues. Nested functions are
 * skipped as if nothing in them were _ENV. */
static envs find_root_env(reader copy) {
  envs none = {{false}}, env = {{false}};
  lf_buf_init(&copy.names, NULL, 0);
  for (size_t p = take_size(&copy); p > 0 && !copy.bad; p--)
    read_function(&copy, &none, 1);
  skip_debug(&copy);
  read_env_names(&copy, &env);
  lf_buf_fini(&copy.names);
  return env;
}

void *lfb_bytecode_globals(const void *bytes, size_t len) {
  reader r = {.at = bytes, .end = (const unsigned char *)bytes + len};
  lf_buf_init(&r.names, NULL, 0);
  const unsigned char *head = take(&r, HEADER);
  lfb_globals *found = NULL;
  if (head && head[4] == LUA_VERSION_NUM / 100 * 16 + LUA_VERSION_NUM % 100) {
    take_byte(&r); /* number of upvalues */
    read_function(&r, NULL, 0);
    if (!r.bad && r.count > 0)
      found = lf_malloc(sizeof *found + r.names.len);
  }
  if (found) {
    found->count = r.count;
    memcpy(found->names, r.names.data, r.names.len);
  }
  lf_buf_fini(&r.names);
  return found;
}
