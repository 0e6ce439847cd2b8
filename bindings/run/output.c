/* SPDX-License-Identifier: MIT
 *
 * See output.h. A worker's io.stdout is a stream of its own, whose lines go to
 * the program's stdout in one call each; stdio's lock does the rest. What goes
 * to a terminal on which a bar may be drawn goes by lf_terminal_put. */
#include "bindings/run/output.h"

#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/core/error.h"
#include "bindings/run/run.h"
#include "runtime/os/fork.h"
#include "runtime/sync/terminal.h"

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
    lf_terminal_put(stdout, bytes, whole);
  } else if (whole > 0) {
    if (lf_buf_put(&out->line, bytes, whole) != 0)
      return 0;
    lf_terminal_put(stdout, out->line.data, out->line.len);
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
    lf_terminal_put(stdout, out->line.data, out->line.len);
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
  if (stream == stdout)
    lf_terminal_put(stdout, line, len);
  else
    fwrite(line, 1, len, stream);
  fflush(stream);
  if (stream != stdout)
    fflush(stdout);
  return 0;
}

#if LFB_HAS_OWN_FILES
int lfb_flush(lua_State *L) {
  const lfb_state *S = lua_touserdata(L, lua_upvalueindex(1));
  int n = lua_tocfunction(L, lua_upvalueindex(2))(L);
  if (S->out != stdout)
    lfb_output_sync();
  return n;
}

static int stay_open(lua_State *L) {
  luaL_Stream *p = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  p->closef = stay_open;
  luaL_pushfail(L);
  lua_pushliteral(L, "cannot close standard file");
  return 2;
}
#endif

/* The files' places in the registry. */
static const char standard_output, standard_error;

/* With io at the top. */
static void note(lua_State *L, const char *name, FILE *f, const char *place) {
  lua_getfield(L, -1, name);
  luaL_Stream *p = luaL_testudata(L, -1, LUA_FILEHANDLE);
  if (p && p->f == f)
    lua_rawsetp(L, LUA_REGISTRYINDEX, place);
  else
    lua_pop(L, 1);
}

void lfb_output_note(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_IOLIBNAME) == LUA_TTABLE) {
    note(L, "stdout", stdout, &standard_output);
    note(L, "stderr", stderr, &standard_error);
  }
  lua_pop(L, 2);
}

/* That file, wherever it is kept by now, or NULL. */
static luaL_Stream *noted(lua_State *L, const char *place) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, place);
  luaL_Stream *p = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return p && lfb_file_is_open(p) ? p : NULL;
}

/* --- Beside a bar --- */

static ssize_t put(void *stream, const char *bytes, size_t n) {
  lf_terminal_put(stream, bytes, n);
  return (ssize_t)n;
}

/* One for stdout and one for stderr. */
static FILE *streams[2];

/* The stream to that one that does not tear a bar. NULL: no memory. */
static FILE *beside(FILE *stream) {
  static const cookie_io_functions_t functions = {.write = put};
  FILE **place = &streams[stream == stderr];
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&lock);
  if (!*place && (*place = fopencookie(stream, "w", functions)))
    setvbuf(*place, NULL, stream == stderr ? _IONBF : _IOLBF, 0);
  pthread_mutex_unlock(&lock);
  return *place;
}

/* The interpreter's file is that stream, if it is a terminal; and back. */
static void exchange(lua_State *L, const char *place, FILE **now, FILE *f) {
  luaL_Stream *p = noted(L, place);
  if (!f || !p || p->f != *now)
    return;
  fflush(*now);
  *now = p->f = f;
}

static FILE *if_terminal(FILE *stream) {
  return isatty(fileno(stream)) ? beside(stream) : NULL;
}

void lfb_output_share(lua_State *L, lfb_state *S) {
  if (S->vm)
    return;
  exchange(L, &standard_output, &S->out, if_terminal(stdout));
  exchange(L, &standard_error, &S->err, if_terminal(stderr));
}

void lfb_output_unshare(lua_State *L, lfb_state *S) {
  if (S->out == streams[0])
    exchange(L, &standard_output, &S->out, stdout);
  if (!S->vm && S->err == streams[1])
    exchange(L, &standard_error, &S->err, stderr);
}

/* --- Life --- */

void lfb_output_open(lua_State *L, lfb_state *S) {
  S->vm->output = output_new();
  if (!S->vm->output)
    lfb_raise_memory(L);
  S->vm->output->own = S->reach != NULL;
  S->out = S->vm->output->stream;
  luaL_Stream *p = noted(L, &standard_output);
  if (p) {
    p->f = S->out;
#if LFB_HAS_OWN_FILES
    p->closef = stay_open;
#endif
  }
  exchange(L, &standard_error, &S->err, if_terminal(stderr));
}

void lfb_output_write(lfb_state *S) {
  FILE *own = S->out;
  if (own != stdout)
    fflush(own);
  lf_flush_output();
}
