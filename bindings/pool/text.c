/* SPDX-License-Identifier: MIT
 *
 * See text.h. The script finds where blocks end, which takes a look at a few
 * bytes of each; an item is a path with a range of bytes, which becomes a
 * string where it is unpacked. */
#include "bindings/pool/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/core/argument.h"
#include "bindings/core/error.h"
#include "bindings/core/options.h"

#define TEXT "lfut.Text"
#define BLOCK "lfut.TextBlock"

enum { BLOCKSIZE = 1 << 20, LOOK = 16 << 10 }; /* bytes */

bool lfb_is_text(lua_State *L, int idx) {
  return lua_istable(L, idx) && lfb_has_metatable(L, idx, TEXT);
}

/* --- lfut.text --- */

static void check_path(lua_State *L, int idx) {
  size_t len;
  if (lua_type(L, idx) != LUA_TSTRING)
    lfb_arg_error(
        L, 1,
        lua_pushfstring(L, "path expected, got %s", luaL_typename(L, idx)));
  const char *path = lua_tolstring(L, idx, &len);
  lfb_arg_check(L, strlen(path) == len && len > 0, 1, "bad path");
}

/* Sets the options, at 2, in the source at 3. */
static void set_options(lua_State *L) {
  static const char *const names[] = {"blocksize", "delimiter", NULL};
  lua_Integer size = BLOCKSIZE;
  lua_pushliteral(L, "\n");
  if (!lua_isnil(L, 2)) {
    lfb_check_type(L, 2, LUA_TTABLE);
    lfb_check_option_names(L, 2, names);
    if (lfb_option_integer(L, 2, "blocksize", &size) && size < 1)
      luaL_error(L, "bad option 'blocksize' (must be an integer >= 1)");
    if (lua_getfield(L, 2, "delimiter") == LUA_TNIL)
      lua_pop(L, 1);
    else if (lua_type(L, -1) != LUA_TSTRING)
      lfb_option_error(L, "delimiter", "string");
    if (lua_rawlen(L, -1) == 0)
      luaL_error(L, "bad option 'delimiter' (it is empty)");
  }
  lua_setfield(L, 3, "delimiter");
  lua_pushinteger(L, size > 0 ? size : BLOCKSIZE);
  lua_setfield(L, 3, "blocksize");
}

int lfb_text(lua_State *L) {
  lua_settop(L, 2);
  if (lua_type(L, 1) != LUA_TSTRING && !lua_istable(L, 1))
    lfb_type_error(L, 1, "path or list of paths");
  lua_newtable(L);
  lua_Integer n = lua_istable(L, 1) ? luaL_len(L, 1) : 1;
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_istable(L, 1))
      lua_geti(L, 1, i);
    else
      lua_pushvalue(L, 1);
    check_path(L, lua_gettop(L));
    lua_rawseti(L, 3, i);
  }
  lua_pushinteger(L, n);
  lua_setfield(L, 3, "n");
  set_options(L);
  lua_settop(L, 3);
  luaL_setmetatable(L, TEXT);
  return 1;
}

/* --- Blocks --- */

typedef struct {
  int64_t from, to; /* user value 1: the path */
} block;

static void push_block(lua_State *L, int path, int64_t from, int64_t to) {
  block *b = lua_newuserdatauv(L, sizeof *b, 1);
  *b = (block){from, to};
  lua_pushvalue(L, path);
  lua_setiuservalue(L, -2, 1);
  luaL_setmetatable(L, BLOCK);
}

/* (block) -> { path, from, to } */
static int block_pack(lua_State *L) {
  const block *b = luaL_checkudata(L, 1, BLOCK);
  lua_createtable(L, 3, 0);
  lua_getiuservalue(L, 1, 1);
  lua_rawseti(L, -2, 1);
  lua_pushinteger(L, b->from);
  lua_rawseti(L, -2, 2);
  lua_pushinteger(L, b->to);
  lua_rawseti(L, -2, 3);
  return 1;
}

static int raise_of(lua_State *L, const char *path, const char *why) {
  return luaL_error(L, "cannot read '%s': %s", path, why);
}

/* Opens a file that has ranges. Its size, or -1: 'why' tells. */
static int64_t open_file(const char *path, int *fd, const char **why) {
  struct stat st;
  *why = NULL;
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (*fd < 0 || fstat(*fd, &st) != 0)
    *why = strerror(errno);
  else if (!S_ISREG(st.st_mode))
    *why = S_ISDIR(st.st_mode) ? strerror(EISDIR) : "it is no plain file";
  if (!*why)
    return st.st_size;
  if (*fd >= 0)
    close(*fd);
  return -1;
}

/* Reads up to n bytes; -1 with errno. */
static ssize_t read_at(int fd, char *to, size_t n, int64_t at) {
  size_t got = 0;
  while (got < n) {
    ssize_t r = pread(fd, to + got, n - got, at + (int64_t)got);
    if (r < 0 && errno == EINTR)
      continue;
    if (r < 0)
      return -1;
    if (r == 0)
      break;
    got += (size_t)r;
  }
  return (ssize_t)got;
}

/* ({ path, from, to }) -> the text */
static int block_unpack(lua_State *L) {
  luaL_Buffer text;
  const char *why;
  int fd;
  lua_settop(L, 1);
  lua_rawgeti(L, 1, 1);
  lua_rawgeti(L, 1, 2);
  lua_rawgeti(L, 1, 3);
  const char *path = luaL_checkstring(L, 2);
  int64_t from = lua_tointeger(L, 3), to = lua_tointeger(L, 4);
  size_t n = from < to ? (size_t)(to - from) : 0;
  char *at = luaL_buffinitsize(L, &text, n);
  if (open_file(path, &fd, &why) < 0)
    return raise_of(L, path, why);
  ssize_t got = read_at(fd, at, n, from);
  int err = errno;
  close(fd);
  if (got < 0)
    return raise_of(L, path, strerror(err));
  if ((size_t)got < n)
    return raise_of(L, path, "it has become shorter");
  luaL_pushresultsize(&text, n);
  return 1;
}

/* --- Where blocks end --- */

typedef struct {
  lua_Integer file; /* of the list */
  int64_t at, size; /* in it; size -1: it has not been looked at */
} reading;

/* Where the first delimiter ends that ends at 'from' or behind; the size if
 * there is none, -1 with errno. */
static int64_t find_end(int fd, const char *delimiter, size_t len, int64_t from,
                        int64_t size, char *bytes, size_t room) {
  int64_t at = from > (int64_t)len ? from - (int64_t)len : 0;
  while (at < size) {
    ssize_t n = read_at(fd, bytes, room, at);
    if (n < 0)
      return -1;
    const char *found = memmem(bytes, (size_t)n, delimiter, len);
    if (found)
      return at + (found - bytes) + (int64_t)len;
    if ((size_t)n < room)
      break;
    at += n - (int64_t)len + 1;
  }
  return size;
}

/* The memory to look into, so much of it. */
static char *look_room(lua_State *L, size_t n) {
  int kept = lua_upvalueindex(4);
  if (lua_rawlen(L, kept) < n) {
    lua_newuserdatauv(L, n, 0);
    lua_replace(L, kept);
  }
  return lua_touserdata(L, kept);
}

/* The end of the block that begins at r->at; -1: it cannot be read. */
static int64_t block_end(lua_State *L, const reading *r, const char *path,
                         int source) {
  size_t len;
  const char *why;
  int fd;
  lua_getfield(L, source, "blocksize");
  lua_getfield(L, source, "delimiter");
  int64_t size = lua_tointeger(L, -2);
  const char *delimiter = lua_tolstring(L, -1, &len);
  if (size >= r->size - r->at)
    return r->size;
  size_t room = 2 * len + LOOK;
  char *bytes = look_room(L, room);
  if (open_file(path, &fd, &why) < 0)
    return -1;
  int64_t end =
      find_end(fd, delimiter, len, r->at + size, r->size, bytes, room);
  close(fd);
  return end;
}

/* Looks at the file at 'path'; what cannot be read is one block, which fails
 * where it is to be read. */
static bool begin_file(reading *r, const char *path) {
  int fd;
  const char *why;
  r->at = 0;
  r->size = open_file(path, &fd, &why);
  if (r->size < 0)
    return false;
  close(fd);
  return true;
}

static void end_file(reading *r) {
  r->file++;
  r->size = -1;
}

/* Upvalues: the state, the source, where it is read, memory for that. -> the
 * next block */
static int next_block(lua_State *L) {
  int source = lua_upvalueindex(2);
  reading *r = lua_touserdata(L, lua_upvalueindex(3));
  for (;; end_file(r)) {
    lua_settop(L, 0);
    if (lua_rawgeti(L, source, r->file) != LUA_TSTRING)
      return 0;
    const char *path = lua_tostring(L, 1);
    bool there = r->size >= 0 || begin_file(r, path);
    if (there && r->at >= r->size)
      continue;
    int64_t end = there ? block_end(L, r, path, source) : -1;
    push_block(L, 1, end < 0 ? 0 : r->at, end < 0 ? 0 : end);
    r->at = end;
    if (end < 0 || end >= r->size)
      end_file(r);
    return 1;
  }
}

void lfb_push_text_items(lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  lua_pushlightuserdata(L, lfb_self(L));
  lua_pushvalue(L, idx);
  reading *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (reading){.file = 1, .size = -1};
  lua_pushnil(L);
  lua_pushcclosure(L, next_block, 4);
}

static int text_tostring(lua_State *L) {
  lua_pushfstring(L, "text(%d files)", (int)lua_rawlen(L, 1));
  return 1;
}

void lfb_text_open_types(lua_State *L, lfb_state *S) {
  static const luaL_Reg text[] = {{"__tostring", text_tostring}, {NULL, NULL}};
  static const luaL_Reg blocks[] = {{"__lfut_pack", block_pack},
                                    {"__lfut_unpack", block_unpack},
                                    {NULL, NULL}};
  luaL_newmetatable(L, TEXT);
  lfb_setfuncs(L, S, text);
  lua_setfield(L, -2, "Text"); /* by which it travels */
  luaL_newmetatable(L, BLOCK);
  lfb_setfuncs(L, S, blocks);
  lua_setfield(L, -2, "TextBlock");
}
