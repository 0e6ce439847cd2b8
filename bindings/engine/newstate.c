/* SPDX-License-Identifier: MIT
 *
 * See newstate.h. */
#include "bindings/engine/newstate.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/mem.h"
#include "runtime/sync/terminal.h"

static void *allocate(void *ud, void *block, size_t old, size_t size) {
  (void)ud;
  (void)old;
  if (size > 0)
    return lf_realloc(block, size);
  lf_free(block);
  return NULL;
}

#if LFB_HAS_WARNINGS
/* As luaL_newstate would have set it up: control messages, and parts that
 * belong together. */
static void warn(void *ud, const char *message, int more) {
  lfb_warnings *w = ud;
  bool control = !w->middle && !more && message[0] == '@';
  if (control && strcmp(message, "@on") == 0)
    w->on = true;
  else if (control && strcmp(message, "@off") == 0)
    w->on = false;
  if (w->on && !control)
    lf_terminal_complain("%s%s%s", w->middle ? "" : "Lua warning: ", message,
                         more ? "" : "\n");
  w->middle = more;
}
#endif

static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  lf_panic(__FILE__, __LINE__, message ? message : "unprotected error");
}

static size_t counted(lua_State *L) {
  return ((size_t)lua_gc(L, LUA_GCCOUNT) << 10) +
         (size_t)lua_gc(L, LUA_GCCOUNTB);
}

#if LUA_VERSION_NUM >= 505
static void *count(void *ud, void *block, size_t old, size_t size) {
  lfb_heap *heap = ud;
  void *new = heap->alloc(heap->ud, block, old, size);
  if (new || size == 0)
    heap->bytes += size - (block ? old : 0);
  return new;
}

void lfb_heap_begin(lua_State *L, lfb_heap *heap) {
  heap->alloc = lua_getallocf(L, &heap->ud);
  heap->bytes = counted(L);
  lua_setallocf(L, count, heap);
}

size_t lfb_heap_bytes(lua_State *L, const lfb_heap *heap) {
  (void)L;
  return heap->bytes;
}
#else
void lfb_heap_begin(lua_State *L, lfb_heap *heap) {
  (void)L;
  (void)heap;
}

size_t lfb_heap_bytes(lua_State *L, const lfb_heap *heap) {
  (void)heap;
  return counted(L);
}
#endif

lua_State *lfb_newstate(lfb_warnings *warnings) {
  lua_State *L = lfb_bare_state(allocate, NULL);
  if (!L)
    return NULL;
  lua_atpanic(L, panic);
#if LFB_HAS_WARNINGS
  lua_setwarnf(L, warn, warnings);
#else
  (void)warnings;
#endif
  return L;
}
