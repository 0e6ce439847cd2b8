/* SPDX-License-Identifier: MIT
 *
 * See position.h. All but lfb_blocked_begin and its like is called by signal
 * handlers. */
#include "bindings/run/position.h"

#include <string.h>

#include "bindings/run/interrupt.h"
#include "bindings/run/run.h"
#include "bindings/run/wait_shared.h"
#include "runtime/os/clock.h"
#include "runtime/pool/current.h"
#include "runtime/pool/loop.h"
#include "runtime/process/serve.h"
#include "runtime/shm/arena.h"
#include "runtime/sync/queue.h"
#include "runtime/sync/sync.h"
#include "runtime/task/dependent.h"

/* --- Waits of threads that sleep --- */

void lfb_blocked_begin(lfb_state *S, lfb_blocked *b) {
  if (!b->since)
    b->since = lf_now_roughly();
  b->run = S->vm ? S->vm->current : NULL;
  b->outer = S->blocked;
  atomic_signal_fence(memory_order_seq_cst); /* a signal finds it complete */
  S->blocked = b;
}

void lfb_blocked_end(lfb_state *S, lfb_blocked *b) {
  S->blocked = b->outer;
  atomic_signal_fence(memory_order_seq_cst);
}

static _Thread_local struct lf_vm *volatile opening;

void lfb_opens_here(struct lf_vm *vm) {
  opening = vm;
  atomic_signal_fence(memory_order_seq_cst);
}

/* --- Positions --- */

/* The first level from there on that is a Lua function's, or -1. */
static int find_lua(lua_State *L, int level, lua_Debug *ar) {
  for (; lua_getstack(L, level, ar); level++)
    if (lua_getinfo(L, "Sl", ar) && ar->currentline > 0)
      return level;
  return -1;
}

static void put_place(lf_line *out, const lua_Debug *ar) {
  lf_line_put(out, ar->short_src);
  lf_line_put(out, ":");
  lf_line_number(out, ar->currentline);
}

static void put_function(lf_line *out, lua_State *L, lua_Debug *ar) {
  bool named = lua_getinfo(L, "n", ar) && ar->name;
  if (strcmp(ar->what, "main") == 0) {
    lf_line_put(out, " in main chunk");
  } else if (named) {
    lf_line_put(out, " in function '");
    lf_line_put(out, ar->name);
    lf_line_put(out, "'");
  } else {
    lf_line_put(out, " in function <");
    lf_line_put(out, ar->short_src);
    lf_line_put(out, ":");
    lf_line_number(out, ar->linedefined);
    lf_line_put(out, ">");
  }
}

/* The C function at the top, if there is one that has a name. */
static void put_c_function(lf_line *out, lua_State *L) {
  lua_Debug ar;
  if (!lua_getstack(L, 0, &ar) || !lua_getinfo(L, "Sn", &ar) ||
      strcmp(ar.what, "C") != 0 || !ar.name || !*ar.name)
    return;
  lf_line_put(out, "in '");
  lf_line_put(out, ar.name);
  lf_line_put(out, "' ");
}

/* "at script.lua:15 in function 'fetch', called at script.lua:40" */
static void put_position(char *where, size_t size, lua_State *L) {
  lua_Debug ar, caller;
  lf_line out;
  lf_line_init(&out, where, size);
  int level = find_lua(L, 0, &ar);
  if (level < 0)
    return;
  put_c_function(&out, L);
  lf_line_put(&out, "at ");
  put_place(&out, &ar);
  put_function(&out, L, &ar);
  if (find_lua(L, level + 1, &caller) < 0)
    return;
  lf_line_put(&out, ", called at ");
  put_place(&out, &caller);
}

/* --- What is waited for --- */

/* What one thread says. */
typedef struct {
  lf_sight *sight;
  bool asleep; /* Lua's stacks may be looked at */
} view;

/* Those of a set that are not done. */
typedef struct {
  int64_t n;
  lf_task *first;
} undone;

static bool count_task(lf_task *t, void *arg) {
  undone *left = arg;
  if (left->n++ == 0)
    left->first = t;
  return true;
}

static void note_awaited(lf_sight_line *l, lf_task *t) {
  uint64_t number = lf_serve_number(t, false);
  l->awaited = number ? number : (uintptr_t)t;
  l->pending = lf_task_is_queued(t);
}

/* Is it a future of 'lfut.all' and the like? One of 'and_then' is of its own
 * function, too. */
static bool is_made_of_others(const lf_task *t) {
  return !t->code && !t->owner && lf_dependent_of(t);
}

static void put_task_name(lf_line *out, const lf_task *t) {
  lf_line_put(out,
              is_made_of_others(t) ? "one made of others" : lf_task_name(t));
}

/* What is said of the inputs of a future: it is they that others run. */
typedef struct {
  lf_line *out;
  lf_sight_line *l;
  const lf_task *of;
  int depth;
  undone left;
} inputs;

static bool count_input(lf_task *t, void *arg) {
  return count_task(t, &((inputs *)arg)->left);
}

static void put_inputs(lf_waits *waits, void *arg);

static void put_first(const inputs *in) {
  enum { DEEP = 3 };
  lf_task *t = in->left.first;
  lf_waits *waits = lf_dependent_of(t) ? atomic_load(&t->waits) : NULL;
  inputs further = {in->out, in->l, t, in->depth + 1, {0}};
  note_awaited(in->l, t);
  put_task_name(in->out, t);
  if (waits && in->depth < DEEP)
    put_inputs(waits, &further);
}

/* All of them are there as long as this is under way. */
static void put_inputs(lf_waits *waits, void *arg) {
  inputs *in = arg;
  waits->each(waits, count_input, in);
  if (in->left.n == 0)
    return;
  if (is_made_of_others(in->of)) {
    lf_line_put(in->out, ", of which ");
    lf_line_number(in->out, in->left.n);
    lf_line_put(in->out, in->left.n > 1 ? " are not done, as that of "
                                        : " is not done, that of ");
  } else {
    lf_line_put(in->out, " after that of ");
  }
  put_first(in);
}

static void put_task_thing(lf_line *out, lf_sight_line *l, lf_task *t) {
  note_awaited(l, t);
  if (!t->code && !t->owner && !lf_dependent_of(t)) { /* an event */
    lf_line_put(out, lf_task_name(t));
    return;
  }
  lf_line_put(out, is_made_of_others(t) ? "a future made of others"
                                        : "the future of ");
  if (!is_made_of_others(t))
    lf_line_put(out, lf_task_name(t));
  inputs in = {out, l, t, 0, {0}};
  if (lf_dependent_of(t))
    lf_deadlock_glance(t, put_inputs, &in);
}

/* 'waits' may be NULL: its tasks are not known here. */
static void put_set_thing(lf_line *out, lf_sight_line *l, lf_waits *waits) {
  undone left = {0};
  if (waits)
    waits->each(waits, count_task, &left);
  if (left.n == 1) {
    put_task_thing(out, l, left.first);
    return;
  }
  if (left.n > 0) {
    lf_line_put(out, "one of ");
    lf_line_number(out, left.n);
    lf_line_put(out, " futures, as of ");
    lf_line_put(out, lf_task_name(left.first));
  } else {
    lf_line_put(out, "futures");
  }
}

static void describe(lf_sight_line *l, const lfb_wait_for *what) {
  lf_line out;
  lf_line_init(&out, l->thing, sizeof l->thing);
  if (what->task) {
    put_task_thing(&out, l, what->task);
  } else if (what->set) {
    put_set_thing(&out, l, what->waits);
  } else if (what->loop) {
    lf_line_put(&out, "results of ");
    lf_line_put(&out, lf_loop_label(what->loop));
  } else if (what->polled) {
    unsigned wanted = what->polled->wanted;
    lf_line_put(&out, "descriptor ");
    lf_line_number(&out, what->polled->fd);
    lf_line_put(&out, wanted == LF_READABLE   ? " (to read)"
                      : wanted == LF_WRITABLE ? " (to write)"
                                              : " (to read or write)");
  } else {
    lf_line_put(&out, "the end of lfut.sleep");
  }
}

static const char *kind_name(lfb_class class, uint32_t kind) {
  if (class != LFB_QUEUE)
    return "";
  return kind & LF_GETTER   ? " (get)"
         : kind & LF_PUTTER ? " (put)"
         : kind & LF_JOINER ? " (join)"
                            : "";
}

/* 'S' may know no such class, as nothing of it has been made there. */
static void describe_object(lf_sight_line *l, const lfb_state *S,
                            lf_shared *object, uint32_t kind) {
  lf_line out;
  lf_line_init(&out, l->thing, sizeof l->thing);
  lfb_class class = LFB_QUEUE + (lfb_class)object->type - 1;
  const lfb_descriptor *d = class < LFB_CLASSES ? S->descriptors[class] : NULL;
  lf_line_put(&out, d ? d->name : "something shared");
  lf_line_put(&out, " ");
  lf_line_hex(&out, lf_arena_offset(object));
  lf_line_put(&out, kind_name(class, kind));
  if (class == LFB_LOCK || class == LFB_RLOCK)
    l->lock = atomic_load(&lf_container_of(object, lf_lock, shared)->holder);
}

/* The innermost wait of the run (NULL: of what is in none), or NULL. */
static const lfb_blocked *blocked_of(const lfb_state *S, const lfb_run *r) {
  const lfb_blocked *b = S->blocked;
  while (b && b->run != r)
    b = b->outer;
  return b;
}

static void describe_blocked(lf_sight_line *l, const lfb_state *S,
                             const lfb_blocked *b) {
  l->waits_since = b->since;
  l->until = b->until;
  if (b->what)
    describe(l, b->what);
  if (b->object)
    describe_object(l, S, b->object, b->kind);
  if (!b->words)
    return;
  lf_line out;
  lf_line_init(&out, l->thing, sizeof l->thing);
  lf_line_put(&out, b->words);
  if (b->number) {
    lf_line_put(&out, " (process ");
    lf_line_number(&out, b->number);
    lf_line_put(&out, ")");
  }
}

static void describe_parked(lf_sight_line *l, const lfb_state *S,
                            const lfb_run *r) {
  lfb_wait_for what;
  lf_shared *object;
  uint32_t kind;
  l->state = LF_SIGHT_PARKED;
  l->waits_since = r->parked_since;
  l->until = r->base.deadline.at;
  if (lfb_parked_at(r, &object, &kind)) {
    describe_object(l, S, object, kind);
  } else if (lfb_watch_is_for(&r->watch, &what)) {
    what.waits = what.set && r->task ? atomic_load(&r->task->waits) : NULL;
    describe(l, &what);
  } else {
    lf_line_copy(l->thing, sizeof l->thing, "something shared");
  }
}

/* --- What runs --- */

/* A line of a task (NULL: a part of a loop that has none). */
static lf_sight_line line_of(const struct lf_vm *vm, const lf_task *t) {
  lf_pool *pool = lf_worker_pool(vm->worker);
  lf_sight_line l = {.what = LF_SIGHT_TASK};
  if (lf_pool_in_caller(pool))
    l.what = LF_SIGHT_INLINE;
  const lf_runner *runner = t ? lf_runner_of(t) : NULL;
  lf_line_copy(l.name, sizeof l.name,
               runner ? lf_loop_label(runner->loop)
               : t    ? lf_task_name(t)
                      : "a part of a loop");
  uint64_t number = t ? lf_serve_number(t, true) : 0;
  l.task = number ? number : (uintptr_t)t;
  return l;
}

/* One that runs, or is below another that does. */
static void see_running(view *v, struct lf_vm *vm, lfb_run *r, bool top) {
  lf_task *t = r->task; /* its end sets this to NULL first */
  lf_sight_line l = line_of(vm, t);
  const lfb_blocked *b = v->asleep ? blocked_of(vm->S, r) : NULL;
  l.since = r->began;
  l.state = !top ? LF_SIGHT_BELOW : b ? LF_SIGHT_WAITS : LF_SIGHT_RUNS;
  if (b)
    describe_blocked(&l, vm->S, b);
  lua_State *L = top ? vm->S->running : r->co;
  if (v->asleep && L)
    put_position(l.where, sizeof l.where, L);
  lf_sight_add(v->sight, &l, r->holder.id);
}

static void see_parked(view *v, struct lf_vm *vm, lfb_run *r) {
  lf_sight_line l = line_of(vm, r->task);
  l.since = r->began;
  describe_parked(&l, vm->S, r);
  put_position(l.where, sizeof l.where, r->at);
  lf_sight_add(v->sight, &l, r->holder.id);
}

static void see_native(view *v, const lfb_frame *f) {
  lf_sight_line l = line_of(f->vm, f->task);
  l.since = lf_worker_since(f->vm->worker);
  lf_line_copy(l.where, sizeof l.where, "in a C function");
  lf_sight_add(v->sight, &l, 0);
}

/* Its initializer, or other code outside of tasks. */
static void see_outside(view *v, lfb_state *S, const char *name, bool top) {
  lf_sight_line l = {.what = LF_SIGHT_SCRIPT};
  const lfb_blocked *b = v->asleep ? blocked_of(S, NULL) : NULL;
  l.state = !top ? LF_SIGHT_BELOW : b ? LF_SIGHT_WAITS : LF_SIGHT_RUNS;
  lf_line_copy(l.name, sizeof l.name, name);
  if (b)
    describe_blocked(&l, S, b);
  if (v->asleep)
    put_position(l.where, sizeof l.where, S->running);
  lf_sight_add(v->sight, &l, S->holder.id);
}

static void see_vm(view *v, struct lf_vm *vm, const lfb_frame *top) {
  bool running = top && top->vm == vm && !top->native;
  if (top && top->vm == vm && top->native && top->task)
    see_native(v, top);
  for (lfb_run *r = vm->current; r; r = r->below) {
    see_running(v, vm, r, running);
    running = false;
  }
  if (!v->asleep)
    return; /* the list may be in the middle of a change */
  for (lf_link *l = vm->all.next; l != &vm->all; l = l->next) {
    lfb_run *r = lf_container_of(l, lfb_run, all);
    if (r->base.parked)
      see_parked(v, vm, r);
  }
}

/* --- The thread --- */

/* Each interpreter once: those further out first. */
static void see_frames(view *v, const lfb_frame *f, const lfb_frame *top,
                       const struct lf_vm *seen) {
  if (!f)
    return;
  see_frames(v, f->below, top, seen);
  bool again = f->vm == seen;
  for (const lfb_frame *b = f->below; b && !again; b = b->below)
    again = b->vm == f->vm;
  if (!again)
    see_vm(v, f->vm, top);
}

/* The innermost interpreter with Lua code; NULL: there is none. */
static lfb_state *innermost(const lfb_frame *top, lf_worker *w) {
  if (top)
    return top->native ? NULL : top->vm->S;
  return opening ? opening->S : w ? NULL : lfb_program();
}

bool lfb_see_here(lf_sight *sight, bool asleep) {
  view v = {sight, asleep};
  const lfb_frame *top = lfb_frames();
  lf_worker *w = lf_worker_self();
  struct lf_vm *own = w ? lf_worker_vm(w) : NULL;
  if (!w && lfb_program())
    see_outside(&v, lfb_program(), "", !top);
  if (opening && opening->S)
    see_outside(&v, opening->S, "initializer", !top);
  if (own)
    see_vm(&v, own, top);
  see_frames(&v, top, top, own);
  lfb_state *S = innermost(top, w);
  if (!asleep && S)
    lfb_answer_soon(S);
  return asleep || (top && top->native);
}
