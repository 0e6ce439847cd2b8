/* SPDX-License-Identifier: MIT
 *
 * See luajit.h. */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "bindings/engine/compat.h"
#include "bindings/engine/steps.h"

#undef lua_resume
#undef luaL_traceback

/* --- Access --- */

static void reverse(lua_State *L, int from, int to) {
  for (; from < to; from++, to--) {
    lua_pushvalue(L, from);
    lua_pushvalue(L, to);
    lua_replace(L, from);
    lua_replace(L, to);
  }
}

void lua_rotate(lua_State *L, int idx, int n) {
  int from = lua_absindex(L, idx), to = lua_gettop(L);
  int middle = n >= 0 ? to - n : from - n - 1;
  luaL_checkstack(L, 2, "rotate");
  reverse(L, from, middle);
  reverse(L, middle + 1, to);
  reverse(L, from, to);
}

#define MOST 9007199254740992.0 /* 2^53: beyond, some share a number */

bool lfb_jit_isinteger(lua_State *L, int idx) {
  if (lua_type(L, idx) != LUA_TNUMBER)
    return false;
  lua_Number x = lua_tonumber(L, idx);
  return x >= -MOST && x <= MOST && x == floor(x) && !(x == 0 && signbit(x));
}

lua_Integer lfb_jit_tointegerx(lua_State *L, int idx, int *exact) {
  int is;
  lua_Number x = lua_tonumberx(L, idx, &is);
  is = is && x >= (lua_Number)INT64_MIN && x < -(lua_Number)INT64_MIN &&
       x == floor(x);
  if (exact)
    *exact = is;
  if (is)
    return (lua_Integer)x;
  return x >= -(lua_Number)INT64_MIN ? INT64_MAX /* as LF_FOREVER is */
         : x < (lua_Number)INT64_MIN ? INT64_MIN
                                     : 0;
}

lua_Integer lfb_jit_checkinteger(lua_State *L, int arg) {
  int exact;
  lua_Integer i = lfb_jit_tointegerx(L, arg, &exact);
  if (!exact && lua_isnumber(L, arg))
    lfb_jit_argerror(L, arg, "number has no integer representation");
  else if (!exact)
    lfb_jit_typeerror(L, arg, "number");
  return i;
}

enum { CDATA = LUA_TTHREAD + 2 }; /* lj_obj.h: what lua_type says */

bool lfb_boxed_integer(lua_State *L, int idx, char *text) {
  size_t len;
  if (lua_type(L, idx) != CDATA)
    return false;
  const char *s = luaL_tolstring(L, idx, &len);
  bool is = len < LFB_BOXED && len > 2 && memcmp(s + len - 2, "LL", 2) == 0 &&
            strspn(s, "-0123456789UL") == len;
  if (is)
    memcpy(text, s, len + 1);
  lua_pop(L, 1);
  return is;
}

void lfb_push_boxed(lua_State *L, const char *text, size_t len) {
  char code[LFB_BOXED + 16];
  int n = snprintf(code, sizeof code, "return %.*s", (int)len, text);
  if (len >= LFB_BOXED || strspn(code + 7, "-0123456789UL") != len ||
      luaL_loadbufferx(L, code, (size_t)n, "=integer", "t") != LUA_OK)
    luaL_error(L, "bad integer");
  lua_call(L, 0, 1);
}

/* --- Userdata with values --- */

static const char no_values; /* its place in the registry: of an empty table */

static void push_no_values(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &no_values) != LUA_TNIL)
    return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &no_values);
}

void *lua_newuserdatauv(lua_State *L, size_t size, int values) {
  void *u = lua_newuserdata(L, size);
  if (values > 0) {
    push_no_values(L);
    lua_setfenv(L, -2);
  }
  return u;
}

int lua_getiuservalue(lua_State *L, int idx, int n) {
  lua_getfenv(L, idx);
  lua_rawgeti(L, -1, n);
  lua_remove(L, -2);
  return lua_type(L, -1);
}

int lua_setiuservalue(lua_State *L, int idx, int n) {
  idx = lua_absindex(L, idx);
  lua_getfenv(L, idx);
  push_no_values(L);
  bool none = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (none) {
    lua_pop(L, 1);
    lua_createtable(L, n, 0);
    lua_pushvalue(L, -1);
    lua_setfenv(L, idx);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, n);
  lua_pop(L, 1);
  return 1;
}

/* --- Upvalues, and the environment behind them --- */

#undef lua_getupvalue
#undef lua_setupvalue
#undef lua_upvalueid
#undef lua_upvaluejoin

/* Is that the number of the environment of the Lua function at 'idx'? */
static bool is_env(lua_State *L, int idx, int n) {
  if (lua_iscfunction(L, idx) || !lua_isfunction(L, idx))
    return false;
  if (n > 1 && !lua_getupvalue(L, idx, n - 1))
    return false;
  if (n > 1)
    lua_pop(L, 1);
  return true;
}

const char *lfb_jit_getupvalue(lua_State *L, int idx, int n) {
  const char *name = lua_getupvalue(L, idx, n);
  if (name || !is_env(L, idx, n))
    return name;
  lua_getfenv(L, idx);
  return "_ENV";
}

const char *lfb_jit_setupvalue(lua_State *L, int idx, int n) {
  int function = lua_absindex(L, idx);
  const char *name = lua_setupvalue(L, function, n);
  if (name || !is_env(L, function, n) || !lua_istable(L, -1))
    return name;
  lua_setfenv(L, function);
  return "_ENV";
}

void *lfb_jit_upvalueid(lua_State *L, int idx, int n) {
  if (lua_getupvalue(L, idx, n)) {
    lua_pop(L, 1);
    return lua_upvalueid(L, idx, n);
  }
  lua_getfenv(L, idx);
  const char *env = lua_topointer(L, -1);
  lua_pop(L, 1);
  return (void *)(env + 1); /* no object's address */
}

void lfb_jit_upvaluejoin(lua_State *L, int to, int n, int from, int m) {
  if (lua_getupvalue(L, to, n)) {
    lua_pop(L, 1);
    lua_upvaluejoin(L, to, n, from, m);
    return;
  }
  to = lua_absindex(L, to);
  lua_getfenv(L, from);
  lua_setfenv(L, to);
}

/* --- Coroutines --- */

int lfb_jit_resume(lua_State *co, lua_State *from, int nargs, int *nresults) {
  (void)from;
  int status = lua_resume(co, nargs);
  *nresults = lua_gettop(co);
  return status;
}

/* --- The auxiliary library --- */

int luaL_getsubtable(lua_State *L, int idx, const char *name) {
  if (lua_getfield(L, idx, name) == LUA_TTABLE)
    return 1;
  lua_pop(L, 1);
  idx = lua_absindex(L, idx);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, idx, name);
  return 0;
}

void luaL_requiref(lua_State *L, const char *name, lua_CFunction open,
                   int global) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, name);
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    lua_pushcfunction(L, open);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
  }
  lua_remove(L, -2);
  if (global) {
    lua_pushvalue(L, -1);
    lua_setglobal(L, name);
  }
}

lua_Integer luaL_len(lua_State *L, int idx) {
  if (luaL_getmetafield(L, idx, "__len") == LUA_TNIL)
    return (lua_Integer)lua_objlen(L, idx);
  idx = lua_absindex(L, idx);
  lua_pushvalue(L, idx);
  lua_call(L, 1, 1);
  int exact;
  lua_Integer n = lua_tointegerx(L, -1, &exact);
  if (!exact)
    luaL_error(L, "object length is not an integer");
  lua_pop(L, 1);
  return n;
}

const char *luaL_tolstring(lua_State *L, int idx, size_t *len) {
  idx = lua_absindex(L, idx);
  if (luaL_callmeta(L, idx, "__tostring")) {
    if (!lua_isstring(L, -1))
      luaL_error(L, "'__tostring' must return a string");
    return lua_tolstring(L, -1, len);
  }
  switch (lua_type(L, idx)) {
  case LUA_TNUMBER:
  case LUA_TSTRING:
    lua_pushvalue(L, idx);
    break;
  case LUA_TBOOLEAN:
    lua_pushstring(L, lua_toboolean(L, idx) ? "true" : "false");
    break;
  case LUA_TNIL:
    lua_pushliteral(L, "nil");
    break;
  case LUA_TUSERDATA:
  case LUA_TTABLE:
    if (luaL_getmetafield(L, idx, "__name") == LUA_TSTRING) {
      lua_pushfstring(L, "%s: %p", lua_tostring(L, -1), lua_topointer(L, idx));
      lua_remove(L, -2);
      break;
    } /* fall through */
  default:
    lua_getglobal(L, "tostring");
    if (lua_iscfunction(L, -1)) { /* it knows how to say FFI's */
      lua_pushvalue(L, idx);
      lua_call(L, 1, 1);
      if (lua_isstring(L, -1))
        break;
    }
    lua_pop(L, 1);
    lua_pushfstring(L, "%s: %p", luaL_typename(L, idx), lua_topointer(L, idx));
  }
  return lua_tolstring(L, -1, len);
}

char *lfb_jit_buffinitsize(lua_State *L, luaL_Buffer *b, size_t size) {
  luaL_buffinit(L, b);
  return lua_newuserdata(L, size > 0 ? size : 1);
}

void lfb_jit_pushresultsize(luaL_Buffer *b, size_t size) {
  lua_pushlstring(b->L, lua_touserdata(b->L, -1), size);
  lua_remove(b->L, -2);
}

/* With %I besides, of which there are few. */
const char *lfb_jit_pushvfstring(lua_State *L, const char *format,
                                 va_list args) {
  int n = 0;
  luaL_checkstack(L, 8, "message");
  lua_pushliteral(L, "");
  for (const char *p; (p = strchr(format, '%')); format = p + 2) {
    char text[64];
    lua_pushlstring(L, format, (size_t)(p - format));
    switch (p[1]) {
    case 's': {
      const char *s = va_arg(args, const char *);
      lua_pushstring(L, s ? s : "(null)");
      break;
    }
    case 'I':
      snprintf(text, sizeof text, "%lld", va_arg(args, lfb_longest));
      lua_pushstring(L, text);
      break;
    case 'd':
      snprintf(text, sizeof text, "%d", va_arg(args, int));
      lua_pushstring(L, text);
      break;
    case 'f':
      lua_pushnumber(L, va_arg(args, double));
      break;
    case 'c':
      text[0] = (char)va_arg(args, int);
      lua_pushlstring(L, text, 1);
      break;
    case 'p':
      snprintf(text, sizeof text, "%p", va_arg(args, void *));
      lua_pushstring(L, text);
      break;
    default:
      lua_pushlstring(L, p + 1, 1);
    }
    lua_concat(L, 3);
    n++;
  }
  lua_pushstring(L, format);
  lua_concat(L, 2);
  return lua_tostring(L, -1);
}

const char *lfb_jit_pushfstring(lua_State *L, const char *format, ...) {
  va_list args;
  va_start(args, format);
  const char *text = lfb_jit_pushvfstring(L, format, args);
  va_end(args);
  return text;
}

/* --- Positions --- */

bool lfb_is_step(const lua_Debug *ar) {
  return strcmp(ar->source, LFB_STEP_SOURCE) == 0;
}

static bool is_step(lua_State *L, lua_Debug *ar) {
  return lua_getinfo(L, "S", ar) && lfb_is_step(ar);
}

bool lfb_is_opaque(lua_State *L, int idx) {
  lua_Debug ar;
  if (!lua_isfunction(L, idx) || lua_iscfunction(L, idx))
    return lua_iscfunction(L, idx);
  lua_pushvalue(L, idx);
  return lua_getinfo(L, ">S", &ar) && strcmp(ar.source, LFB_STEP_SOURCE) == 0;
}

void lfb_jit_where(lua_State *L, int level) {
  lua_Debug ar;
  for (int i = 0; lua_getstack(L, i, &ar); i++) {
    if (i > 0 && is_step(L, &ar))
      continue;
    if (level-- > 0)
      continue;
    if (lua_getinfo(L, "Sl", &ar) && ar.currentline > 0) {
      lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
      return;
    }
    break;
  }
  lua_pushliteral(L, "");
}

/* Lua puts this before a message where the caller is such code. */
static const char nowhere[] = "[step]:0: ";

void lfb_tidy_message(lua_State *L) {
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING)
    return;
  const char *text = lua_tolstring(L, -1, &len);
  if (len < sizeof nowhere - 1 ||
      memcmp(text, nowhere, sizeof nowhere - 1) != 0)
    return;
  lua_pushlstring(L, text + sizeof nowhere - 1, len - (sizeof nowhere - 1));
  lua_replace(L, -2);
}

/* Without the lines of such code. */
void lfb_jit_traceback(lua_State *L, lua_State *of, const char *message,
                       int level) {
  size_t len;
  static const char line[] = "\n\t[step]:",
                    driver[] = "\n\tlfut: in function <lfut:0>";
  luaL_traceback(L, of, message, level);
  const char *text = lua_tolstring(L, -1, &len), *next;
  (void)len;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (; *text; text = next) {
    next = strchrnul(text + 1, '\n');
    if (strncmp(text, line, sizeof line - 1) != 0 &&
        strncmp(text, driver, sizeof driver - 1) != 0)
      luaL_addlstring(&b, text, (size_t)(next - text));
  }
  luaL_pushresult(&b);
  lua_remove(L, -2);
}

int lfb_jit_error(lua_State *L, const char *format, ...) {
  va_list args;
  lfb_jit_where(L, 1);
  va_start(args, format);
  lfb_jit_pushvfstring(L, format, args);
  va_end(args);
  lua_concat(L, 2);
  return lua_error(L);
}

int lfb_own_frame(lua_State *L, lua_Debug *ar) {
  lua_Debug above;
  if (lua_getstack(L, 1, &above) && is_step(L, &above)) {
    *ar = above;
    return 1;
  }
  return lua_getstack(L, 0, ar);
}

/* Pushes the name under which a module, a table at the top, has the function at
 * 'f'; or leaves the table's own. */
static bool push_field_of(lua_State *L, int f) {
  if (!lua_istable(L, -1))
    return false;
  int module = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, module); lua_pop(L, 1))
    if (lua_rawequal(L, -1, f) && lua_type(L, -2) == LUA_TSTRING) {
      lua_pop(L, 1);
      return true;
    }
  return false;
}

/* Pushes the name of the function whose activation that is, as a field of a
 * module: "lfut.submit". False: it has none. */
static bool push_global_name(lua_State *L, lua_Debug *ar) {
  if (!lua_getinfo(L, "f", ar))
    return false;
  int f = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, f + 1); lua_settop(L, f + 2))
    if (lua_type(L, f + 2) == LUA_TSTRING && push_field_of(L, f)) {
      bool base = strcmp(lua_tostring(L, f + 2), "_G") == 0;
      const char *field = lua_tostring(L, -1);
      if (base)
        lua_pushstring(L, field);
      else
        lua_pushfstring(L, "%s.%s", lua_tostring(L, f + 2), field);
      return true;
    }
  lua_settop(L, f - 1);
  return false;
}

int lfb_jit_argerror(lua_State *L, int arg, const char *message) {
  lua_Debug ar;
  if (!lfb_own_frame(L, &ar) || !lua_getinfo(L, "n", &ar))
    return luaL_error(L, "bad argument #%d (%s)", arg, message);
  const char *name = ar.name                    ? ar.name
                     : push_global_name(L, &ar) ? lua_tostring(L, -1)
                                                : "?";
  if (strcmp(ar.namewhat, "method") == 0 && --arg == 0)
    return luaL_error(L, "calling '%s' on bad self (%s)", name, message);
  return luaL_error(L, "bad argument #%d to '%s' (%s)", arg, name, message);
}

int lfb_jit_typeerror(lua_State *L, int arg, const char *type) {
  const char *got =
      luaL_getmetafield(L, arg, "__name") == LUA_TSTRING ? lua_tostring(L, -1)
      : lua_type(L, arg) == LUA_TLIGHTUSERDATA           ? "light userdata"
                                               : luaL_typename(L, arg);
  return lfb_jit_argerror(L, arg,
                          lua_pushfstring(L, "%s expected, got %s", type, got));
}

/* --- Libraries --- */

static int table_pack(lua_State *L) {
  int n = lua_gettop(L);
  lua_createtable(L, n, 1);
  lua_insert(L, 1);
  for (int i = n; i >= 1; i--)
    lua_rawseti(L, 1, i);
  lua_pushinteger(L, n);
  lua_setfield(L, 1, "n");
  return 1;
}

static int math_tointeger(lua_State *L) {
  if (lua_type(L, 1) == LUA_TNUMBER && lua_isinteger(L, 1))
    lua_settop(L, 1);
  else
    lua_pushnil(L);
  return 1;
}

static int math_type(lua_State *L) {
  luaL_checkany(L, 1);
  if (lua_type(L, 1) != LUA_TNUMBER)
    lua_pushnil(L);
  else
    lua_pushstring(L, lua_isinteger(L, 1) ? "integer" : "float");
  return 1;
}

/* How many bytes the character at s has; 0: it is none. */
static size_t utf8_bytes(const unsigned char *s, size_t len) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t n = s[0] < 0x80   ? 1
             : s[0] < 0xc0 ? 0
             : s[0] < 0xe0 ? 2
             : s[0] < 0xf0 ? 3
             : s[0] < 0xf8 ? 4
                           : 0;
  if (n == 0 || n > len)
    return 0;
  uint32_t c = n == 1 ? s[0] : s[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((s[i] & 0xc0) != 0x80)
      return 0;
    c = c << 6 | (s[i] & 0x3f);
  }
  bool surrogate = c >= 0xd800 && c < 0xe000;
  return c >= least[n] && c < 0x110000 && !surrogate ? n : 0;
}

static int utf8_len(lua_State *L) {
  size_t len, n = 0;
  const char *s = luaL_checklstring(L, 1, &len);
  for (size_t at = 0, bytes; at < len; at += bytes, n++) {
    bytes = utf8_bytes((const unsigned char *)s + at, len - at);
    if (bytes == 0) {
      lua_pushnil(L);
      lua_pushinteger(L, (lua_Integer)at + 1);
      return 2;
    }
  }
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static void set_function(lua_State *L, const char *library, const char *name,
                         lua_CFunction f) {
  luaL_getsubtable(L, -1, library);
  lua_pushcfunction(L, f);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void lfb_complete_libraries(lua_State *L) {
  set_function(L, "table", "pack", table_pack);
  luaL_getsubtable(L, -1, "table");
  lua_getfield(L, -2, "unpack");
  lua_setfield(L, -2, "unpack");
  lua_pop(L, 1);
  set_function(L, "math", "tointeger", math_tointeger);
  set_function(L, "math", "type", math_type);
  set_function(L, "utf8", "len", utf8_len);
}

/* --- LuaJIT's buffer of text --- */

#undef lua_pushfstring

void lfb_settle_text(lua_State *L) {
  luaL_checkstack(L, 1, "text");
  lua_pushfstring(L, ""); /* which lets the collector work before */
  lua_pop(L, 1);
}

static int settling(lua_State *L) {
  void *f = lua_touserdata(L, lua_upvalueindex(2));
  int n = ((lua_CFunction)(uintptr_t)f)(L);
  lfb_settle_text(L);
  return n;
}

void lfb_push_tostring(lua_State *L, lua_CFunction f) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)f);
  lua_pushcclosure(L, settling, 2);
}
