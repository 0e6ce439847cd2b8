/* SPDX-License-Identifier: MIT
 *
 * See output.h. A worker's io.stdout is a stream of its own, whose lines go to
 * the program's stdout in one call each; stdio's lock does the rest. */
#include "bindings/run/output.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/core/error.h"
#include "bindings/run/run.h"
#include "runtime/os/fork.h"

struct lfb_output {
  FILE *stream;
  lf_buf line; /* begun and not ended */
  bool own;    /* stdout is this worker's alone: it is a process */
};

/* Writes all up to the last newline, keeps the rest. */
static ssize_t cookie_write(void *cookie, const char *bytes, size_t n) {
  lfb_output *out = cookie;
  const char *end = memrchr(bytes, '\n', n);
  size_t whole = end ? (size_t)(end + 1 - bytes) : 0;
  if (whole > 0 && out->line.len == 0) {
    fwrite(bytes, 1, whole, stdout);
  } else if (whole > 0) {
    if (lf_buf_put(&out->line, bytes, whole) != 0)
      return 0;
    fwrite(out->line.data, 1, out->line.len, stdout);
    lf_buf_reset(&out->line);
  }
  if (lf_buf_put(&out->line, bytes + whole, n - whole) != 0)
    return 0;
  return (ssize_t)n;
}

static lfb_output *output_new(void) {
  static const cookie_io_functions_t functions = {.write = cookie_write};
  lfb_output *out = calloc(1, sizeof *out);
  if (!out)
    return NULL;
  out->stream = fopencookie(out, "w", functions);
  if (!out->stream) {
    free(out);
    return NULL;
  }
  setvbuf(out->stream, NULL, _IOLBF, 0);
  return out;
}

void lfb_output_sync(void) {
  if (__fpending(stdout) > 0)
    fflush(stdout);
}

void lfb_output_flush(lfb_output *out) {
  if (!out)
    return;
  if (__fpending(out->stream) > 0 || out->line.len > 0) {
    fflush(out->stream);
    if (out->line.len > 0)
      fwrite(out->line.data, 1, out->line.len, stdout);
    lf_buf_reset(&out->line);
  }
  if (out->own)
    lfb_output_sync();
}

void lfb_output_close(lfb_output *out) {
  if (!out)
    return;
  lfb_output_flush(out);
  fclose(out->stream);
  lf_buf_fini(&out->line);
  free(out);
}

int lfb_print(lua_State *L) {
  FILE *stream = lfb_state_find(L)->out;
  int n = lua_gettop(L);
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 1; i <= n; i++) {
    if (i > 1)
      luaL_addchar(&b, '\t');
    luaL_tolstring(L, i, NULL);
    luaL_addvalue(&b);
  }
  luaL_addchar(&b, '\n');
  luaL_pushresult(&b);
  size_t len;
  const char *line = lua_tolstring(L, -1, &len);
  fwrite(line, 1, len, stream);
  fflush(stream);
  if (stream != stdout)
    fflush(stdout);
  return 0;
}

static int stay_open(lua_State *L) {
  luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  p->closef = stay_open;
  luaL_pushfail(L);
  lua_pushliteral(L, "cannot close standard file");
  return 2;
}

static const char standard_output; /* the file's place in the registry */

void lfb_output_note(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_IOLIBNAME) == LUA_TTABLE) {
    lua_getfield(L, -1, "stdout");
    luaL_Stream *p = luaL_testudata(L, -1, LUA_FILEHANDLE);
    if (p && p->f == stdout) {
      lua_rawsetp(L, LUA_REGISTRYINDEX, &standard_output);
      lua_pushnil(L);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

void lfb_output_open(lua_State *L, lfb_state *S) {
  S->vm->output = output_new();
  if (!S->vm->output)
    lfb_raise_memory(L);
  S->vm->output->own = S->reach != NULL;
  S->out = S->vm->output->stream;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &standard_output);
  luaL_Stream *p = lua_touserdata(L, -1);
  if (p && p->closef) { /* wherever it is kept by now */
    p->f = S->out;
    p->closef = stay_open;
  }
  lua_pop(L, 1);
}

void lfb_output_write(lfb_state *S) {
  FILE *own = S->out;
  if (own != stdout)
    fflush(own);
  lf_flush_output();
}
