/* SPDX-License-Identifier: MIT
 *
 * See memory.h. */
#include "bindings/run/memory.h"

#include "bindings/run/interrupt.h"
#include "bindings/run/run.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/stop.h"

enum { FOR_HANDLERS = 1 << 20 }; /* more for those of a task that is stopped */

static size_t heap_of(const struct lf_vm *vm) {
  return lfb_heap_bytes(vm->L, &vm->heap);
}

/* It is beyond its limit, with more bytes. False: it cannot have these. What
 * lfut copies it gets, and is looked at afterwards. */
static bool overdraw(struct lf_vm *vm, const lfb_run *r, ptrdiff_t more) {
  lfb_memory *m = &vm->memory;
  const lfb_growth *g = &r->growth;
  bool refused = !vm->S->copying && g->grown > 2 * g->limit + g->copied - more;
  if (refused)
    m->wanted = (size_t)more;
  if (!m->look)
    lfb_look_soon(vm->S);
  m->look = true;
  return !refused;
}

/* More bytes of a copy. There is room for the largest one, besides the limit.
 */
static void note_copy(const struct lf_vm *vm, lfb_growth *g, ptrdiff_t more) {
  if (g->copies != vm->S->copies)
    g->copying = 0;
  g->copies = vm->S->copies;
  g->copying += more;
  if (g->copying > g->copied)
    g->copied = g->copying;
}

static void *allocate(void *ud, void *block, size_t old, size_t size) {
  struct lf_vm *vm = ud;
  lfb_memory *m = &vm->memory;
  lfb_run *r = m->run;
  if (!r) /* a string of Lua's that is freed by what allocated it */
    return m->alloc(m->ud, block, old, size);
  ptrdiff_t more = (ptrdiff_t)size - (ptrdiff_t)(block ? old : 0);
  lfb_growth *g = &r->growth;
  if (more > 0 && vm->S->copying)
    note_copy(vm, g, more);
  bool beyond = more > 0 && g->grown > g->limit + g->copied - more;
  if (beyond && !overdraw(vm, r, more))
    return NULL;
  void *new = m->alloc(m->ud, block, old, size);
  if (!new &&size > 0)
    return NULL;
  g->grown += more;
  if (more > 0 && (size_t)more >= m->wanted)
    m->wanted = 0;
  return new;
}

/* Has the interpreter's allocator count, or not, as vm->memory says. */
static void set_allocator(struct lf_vm *vm) {
  const lfb_memory *m = &vm->memory;
  if (m->run)
    lua_setallocf(vm->L, allocate, vm);
  else
    lua_setallocf(vm->L, m->alloc, m->ud);
}

void lfb_memory_enter(struct lf_vm *vm, lfb_run *r, lfb_memory *outer) {
  lfb_memory *m = &vm->memory;
  *outer = *m;
  if (!m->run)
    m->alloc = lua_getallocf(vm->L, &m->ud);
  vm->S->copying = false; /* an error may have left it so */
  m->run = r->growth.allowed > 0 ? r : NULL;
  m->wanted = 0;
  m->look = false;
  set_allocator(vm);
}

void lfb_memory_leave(struct lf_vm *vm, const lfb_memory *outer) {
  lfb_memory *m = &vm->memory;
  m->run = outer->run; /* 'live' stays */
  m->wanted = outer->wanted;
  m->look = outer->look;
  set_allocator(vm);
  if (m->look)
    lfb_look_soon(vm->S);
}

/* Without garbage from now on. */
static size_t collect(struct lf_vm *vm) {
  lua_gc(vm->S->running, LUA_GCCOLLECT);
  return heap_of(vm);
}

/* How much garbage there may be, for collecting it to take no more time than
 * making it did. */
static size_t worth_it(const lfb_growth *g, size_t heap) {
  size_t least = (size_t)g->allowed / 4;
  return least > heap / 16 ? least : heap / 16;
}

/* What is garbage then would count for the task when it is collected: so there
 * must not be much of that. */
void lfb_memory_begin(lfb_run *r) {
  lfb_growth *g = &r->growth;
  size_t heap = heap_of(r->vm), live = r->vm->memory.live;
  size_t given = g->grown > 0 ? (size_t)g->grown : 0; /* is there, too */
  if (heap > live + given && heap - live - given > worth_it(g, live)) {
    heap = collect(r->vm);
    r->vm->memory.live = heap > given ? heap - given : heap;
  }
  g->limit = g->allowed;
  g->grown = g->known = g->copied = g->copying = 0;
  g->base = heap;
}

void lfb_memory_park(lfb_run *r) {
  lfb_growth *g = &r->growth;
  if (g->grown <= g->known ||
      (size_t)(g->grown - g->known) <= worth_it(g, heap_of(r->vm)))
    return;
  collect(r->vm);
  g->known = g->grown;
}

/* Even without garbage, and with what it has been refused? It has not had more
 * than the interpreter has in all. */
static bool is_beyond(lfb_run *r, size_t wanted) {
  lfb_growth *g = &r->growth;
  ptrdiff_t heap = (ptrdiff_t)(collect(r->vm) - g->base);
  if (heap < g->grown)
    g->grown = heap;
  if (g->copied > g->grown)
    g->copied = g->grown > 0 ? g->grown : 0;
  return g->grown > g->limit + g->copied - (ptrdiff_t)wanted;
}

void lfb_memory_forget(struct lf_vm *vm) {
  if (!vm->memory.run)
    return;
  vm->memory.run = NULL;
  set_allocator(vm);
}

void lfb_memory_look(struct lf_vm *vm) {
  lfb_memory *m = &vm->memory;
  lfb_run *r = m->run;
  if (!r || !m->look)
    return;
  size_t wanted = m->wanted;
  m->look = false;
  m->wanted = 0;
  if (!is_beyond(r, wanted))
    return;
  r->growth.limit = 2 * r->growth.limit + FOR_HANDLERS;
  lf_pool_stop(r->task, LF_STOP_MEMORY, lf_task_grace(r->task));
}
