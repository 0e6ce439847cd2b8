/* SPDX-License-Identifier: MIT
 *
 * Functions: their code, upvalues and the globals that they name. See
 * internal.h.
 */
#include "bindings/engine/env.h"
#include "bindings/pack/addition.h"
#include "bindings/pack/closure.h"
#include "bindings/pack/internal.h"
#include "bindings/pack/names.h"

/* Which upvalues of a function are _ENV. */
typedef struct {
  unsigned char is[32]; /* bits */
  bool any, all;        /* at least one is; all are */
} envs;

/* An upvalue that is the globals table is _ENV; a local variable that a script
 * has set to that is known by its name, unless names are stripped. */
static bool is_env_name(const char *name) {
  return strcmp(name, "_ENV") == 0 || name[0] == '(';
}

static envs find_envs(lua_State *L, int function) {
  envs e = {.all = true};
  const char *name;
  for (int i = 1; (name = lua_getupvalue(L, function, i)); i++) {
    bool is = lfb_env_is(L);
    if (is && is_env_name(name)) {
      e.is[(i - 1) / 8] |= (unsigned char)(1u << (i - 1) % 8);
      e.any = true;
    }
    e.all = e.all && is;
    lua_pop(L, 1);
  }
  return e;
}

/* Is the name one of a global, looked up in these? */
static bool is_global(const envs *e, const lfb_name *name) {
  for (unsigned i = 0; i < name->count; i++)
    if (e->is[name->upvalues[i] / 8] & 1u << name->upvalues[i] % 8)
      return true;
  return false;
}

/* Has the function nothing to capture, and changes nothing that it has? */
static bool is_bare(lua_State *L, lfb_state *S, const lf_code *code,
                    const envs *e) {
  const lfb_notes *notes = code->notes;
  lfb_name name;
  bool bare = e->all && (!notes || !notes->assigns);
  for (size_t at = 0;
       bare && e->any && notes && lfb_next_name(notes, &at, &name);)
    if (is_global(e, &name) && lfb_push_captured(L, name.text)) {
      lua_pop(L, 1);
      bare = false;
    }
  for (size_t at = 0;
       bare && S->additions && notes && lfb_next_field(notes, &at, &name);)
    bare = !lfb_is_added(L, S, name.text);
  return bare;
}

/* Writes the tag and the code, of which it takes over a reference: the first
 * one's is who calls lfb_pack, others' are kept by the buffer. */
static void put_code(packer *P, lfb_tag tag, lf_code *code) {
  bool first = P->code && !*P->code && P->current == LFB_ROOT;
  if (first) {
    *P->code = code;
    put(P, tag, &code, sizeof code);
    if (P->reach)
      put_ref(P, P->out->len - sizeof code, lf_code_ref(code), lf_code_unref);
    return;
  }
  put_ref(P, P->out->len + 1, code, lf_code_unref);
  put(P, tag, &code, sizeof code);
}

/* The code of the function at the top with a reference, unless it travels by
 * its name, which is written then. */
static lf_code *code_unless_named(packer *P) {
  lua_State *L = P->L;
  if (lua_iscfunction(L, -1)) {
    if (!lfb_pack_named(P))
      lfb_pack_refuse(P);
    return NULL;
  }
  lf_code *code = lfb_code_cached(L, P->S, -1);
  if (!code && lfb_pack_named(P))
    return NULL;
  if (!code && lfb_is_opaque(L, -1)) {
    lfb_pack_refuse(P);
    return NULL;
  }
  return code ? code : lfb_code_of(L, P->S, -1);
}

void lfb_pack_function(packer *P) {
  lua_State *L = P->L;
  if (lfb_pack_seen(P))
    return;
  lf_code *code = code_unless_named(P);
  if (!code)
    return;
  size_t at = P->out->len;
  put_code(P, LFB_T_LONE, code); /* from here on it is kept */
  feed(P, code->hash);
  feed(P, code->len);
  envs e = find_envs(L, lua_gettop(L));
  const lfb_notes *notes = code->notes;
  P->whole = P->whole && notes && !notes->assigns;
  if (is_bare(L, P->S, code, &e)) {
    lfb_packer_lone(P, at);
  } else {
    P->out->data[at] = LFB_T_CLOSURE;
    lfb_packer_object(P, true);
  }
}

/* A large table that the workers have already, as it is? */
static bool pack_known(packer *P) {
  lfb_known *known = P->reach ? P->reach->known : NULL;
  if (!known || lfb_packer_find(P, lua_topointer(P->L, -1)))
    return false;
  int i = known->find(P->L, P->S, known);
  if (i < 0)
    return false;
  uint32_t number = (uint32_t)i;
  put(P, LFB_T_SNAPSHOT, &number, sizeof number);
  lfb_packer_object(P, false);
  return true;
}

/* The value at the top is an upvalue or a global: a table among these may be
 * used as a metatable in the worker. */
static void pack_captured(packer *P) {
  if (lfb_pack_plain(P) || (lua_istable(P->L, -1) && pack_known(P)))
    return;
  P->capturing = true;
  P->value(P);
  P->capturing = false;
}

/* The i-th upvalue's value is at the top. */
static void pack_upvalue(packer *P, uint32_t n, int function, int i) {
  lua_State *L = P->L;
  void *cell = lua_upvalueid(L, function, i);
  lfb_memo *e = lfb_packer_find(P, cell);
  if (e) {
    unsigned char index = (unsigned char)e->index;
    uint32_t closure = e->value;
    put(P, LFB_T_JOIN, &closure, sizeof closure);
    *room(P, 1) = index;
    if (closure < P->first)
      lfb_packer_share(P, closure);
    feed(P, closure - P->first);
    feed(P, index);
    return;
  }
  lfb_packer_note(P, cell, n, (uint32_t)i);
  feed(P, LFB_T_ENV);
  if (lfb_env_is(L))
    put_tag(P, LFB_T_ENV);
  else
    pack_captured(P);
}

/* Notes a name that no function before has named; it is packed in a segment of
 * its own. 'key' is at the top, which is popped. */
static void note_global(packer *P, const lfb_globalrec *g) {
  lua_State *L = P->L;
  if (lua_isnil(L, P->base + LFB_KNOWN)) {
    lua_newtable(L);
    lua_replace(L, P->base + LFB_KNOWN);
  }
  lua_pushvalue(L, -1);
  if (lua_rawget(L, P->base + LFB_KNOWN) == LUA_TNIL) {
    lfb_packer_add(P, &P->globals, LFB_GLOBALS, g, sizeof *g);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, 1);
    lua_rawset(L, P->base + LFB_KNOWN);
  }
  lua_pop(L, 2);
}

/* The path of an addition: its library's name, a zero, its own. */
static void push_path(lua_State *L, const char *path) {
  size_t library = strlen(path) + 1;
  lua_pushlstring(L, path, library + strlen(path + library));
}

/* Additions that the closure numbered 'closure' names. */
typedef struct {
  packer *P;
  uint32_t closure;
} naming;

static void note_addition(void *arg, const char *path) {
  naming *n = arg;
  lfb_globalrec g = {path, n->closure, true};
  if (!lfb_push_addition(n->P->L, path))
    return;
  lua_pop(n->P->L, 1);
  push_path(n->P->L, path);
  note_global(n->P, &g);
}

static void note_additions(packer *P, uint32_t closure, const lf_code *code) {
  const lfb_notes *notes = code->notes;
  naming n = {P, closure};
  lfb_name name;
  luaL_checkstack(P->L, 12, "additions");
  for (size_t at = 0; notes && lfb_next_field(notes, &at, &name);)
    lfb_each_addition(P->L, P->S, name.text, note_addition, &n);
}

/* Notes the globals that the code names. */
static void note_globals(packer *P, uint32_t n, const lf_code *code,
                         const envs *e) {
  lua_State *L = P->L;
  const lfb_notes *notes = code->notes;
  lfb_name name;
  for (size_t at = 0; notes && lfb_next_name(notes, &at, &name);) {
    if (!is_global(e, &name) || !lfb_push_captured(L, name.text))
      continue;
    lua_pop(L, 1);
    lfb_globalrec g = {name.text, n, false};
    lua_pushstring(L, name.text);
    note_global(P, &g);
  }
}

bool lfb_push_global(lua_State *L, const lfb_globalrec *g) {
  return g->added ? lfb_push_addition(L, g->name)
                  : lfb_push_captured(L, g->name);
}

void lfb_pack_function_body(packer *P, uint32_t n, int function) {
  lua_State *L = P->L;
  lf_code *code = lfb_code_of(L, P->S, function);
  lf_code_unref(code); /* the stream has the same, since its first occurrence */
  envs e = find_envs(L, function);
  for (int i = 1; lua_getupvalue(L, function, i); i++) {
    pack_upvalue(P, n, function, i);
    lua_pop(L, 1);
  }
  put_tag(P, LFB_T_END);
  if (e.any)
    note_globals(P, n, code, &e);
  if (P->S->additions)
    note_additions(P, n, code);
}

/* Those that have been noted; more may be while they are packed. */
void lfb_pack_globals(packer *P) {
  lua_State *L = P->L;
  put_tag(P, LFB_T_GLOBALS);
  P->first = (uint32_t)P->objs.n;
  for (size_t i = 0; i < P->globals.n; i++) {
    lfb_globalrec *g = (lfb_globalrec *)P->globals.data + i;
    P->current = g->closure;
    if (!lfb_push_global(L, g))
      continue; /* a finalizer has taken it away */
    g = (lfb_globalrec *)P->globals.data + i;
    if (g->added)
      push_path(L, g->name);
    else
      lua_pushstring(L, g->name);
    P->value(P);
    lua_pop(L, 1);
    pack_captured(P);
    lua_pop(L, 1);
  }
  P->globals.n = 0;
  put_tag(P, LFB_T_END);
  P->bodies(P);
}
