/* SPDX-License-Identifier: MIT
 *
 * See interrupt.h. A signal handler touches what it is said to touch here, and
 * no more: flags, and the hook of the coroutine that runs on its thread. As
 * that one may be about to change, the flags are looked at after each change.
 */
#include "bindings/run/interrupt.h"

#include <stdio.h>
#include <string.h>

#include "bindings/core/error.h"
#include "bindings/run/debugging.h"
#include "bindings/run/run.h"
#include "runtime/os/command.h"
#include "runtime/pool/current.h"
#include "runtime/pool/interrupt.h"
#include "runtime/pool/limits.h"
#include "runtime/pool/registry.h"
#include "runtime/pool/usr1.h"

#define INTERRUPTED "interrupted!"

/* --- Tasks --- */

static lfb_run *current(const lfb_state *S) {
  return S->vm ? S->vm->current : NULL;
}

bool lfb_is_aborted(const lfb_state *S) {
  const lfb_run *r = current(S);
  return r && r->stage == LFB_ABORTED;
}

bool lfb_is_to_end(const lfb_state *S) {
  const lfb_run *r = current(S);
  return r && r->abort[0];
}

bool lfb_task_is_handling(const lfb_state *S) {
  const lfb_run *r = current(S);
  return r && r->stage >= LFB_RAISING;
}

bool lfb_task_ends(lfb_state *S) {
  lfb_run *r = current(S);
  if (!r || !r->abort[0])
    return false;
  if (r->stage == LFB_RAISING)
    r->stage = LFB_ABORTED; /* the error has come here, or another instead */
  return true;
}

/* The first reason stays. */
static void note_abort(lfb_run *r, const char *message) {
  if (!r->abort[0])
    snprintf(r->abort, sizeof r->abort, "%s", message);
  if (r->stage == LFB_RUNNING)
    r->stage = LFB_ABORTED;
}

/* With commands that it has started and does not wait for: in a worker process,
 * nobody else reaches them. */
static void interrupt_run(lfb_run *r) {
  note_abort(r, INTERRUPTED);
  lf_commands_interrupt();
}

/* If the task has been asked to stop, and this is new. */
static void note_reason(lfb_run *r) {
  lf_reason reason = r->task ? lf_task_reason(r->task) : LF_GO_ON;
  if (reason == LF_GO_ON || r->abort[0])
    return;
  r->reason = reason;
  note_abort(r, "stopped");
}

bool lfb_take_signal(lfb_state *S) {
  lfb_run *r = current(S);
  if (!r || r->stage == LFB_CLOSING)
    return false;
  int noted = S->vm->interrupted;
  if (noted) {
    S->vm->interrupted = 0;
    if (S->reach) /* the program says what is to stop */
      lf_pool_listen(lf_worker_pool(S->vm->worker));
    lfb_memory_look(S->vm);
    note_reason(r);
  }
  if (noted == LFB_SIGNALLED) {
    interrupt_run(r);
    r->stage = LFB_ABORTED; /* asked again, perhaps */
  }
  return lfb_is_aborted(S);
}

void lfb_note_parked(lfb_run *r) {
  if (!r->task)
    return;
  atomic_store(&r->task->parked, true);
  if (lf_task_reason(r->task) != LF_GO_ON)
    r->base.waker.wake(&r->base.waker);
}

void lfb_note_resumed(lfb_run *r) {
  if (r->task) {
    atomic_store(&r->task->parked, false);
    note_reason(r);
  }
  if (r->base.interrupted)
    interrupt_run(r);
  r->base.interrupted = false;
}

void lfb_interrupt_parked(struct lf_vm *vm) {
  for (lf_link *l = vm->all.next; l != &vm->all; l = l->next) {
    lfb_run *r = lf_container_of(l, lfb_run, all);
    if (!r->base.parked || !r->base.occupies)
      continue;
    r->base.interrupted = true;
    r->base.waker.wake(&r->base.waker);
  }
}

void lfb_stop_asked(struct lf_vm *vm) {
  for (lf_link *l = vm->all.next; l != &vm->all; l = l->next) {
    lfb_run *r = lf_container_of(l, lfb_run, all);
    if (!r->task || lf_task_reason(r->task) == LF_GO_ON)
      continue;
    if (r->base.parked)
      r->base.waker.wake(&r->base.waker);
    else
      note_reason(r);
  }
}

void lfb_each_task(struct lf_vm *vm, bool (*visit)(lf_task *task, void *arg),
                   void *arg) {
  for (lf_link *l = vm->all.next; l != &vm->all; l = l->next) {
    lfb_run *r = lf_container_of(l, lfb_run, all);
    if (r->task && !visit(r->task, arg))
      return;
  }
}

void lfb_push_abort(lua_State *L, const lfb_run *r) {
  if (r->reason != LF_GO_ON)
    lfb_push_stopped(L, r->reason, lf_task_limits(r->task),
                     lf_task_label(r->task));
  else
    lua_pushstring(L, r->abort);
}

/* An error in a finalizer goes no further than that. While one runs, the
 * collector does not; to look through a deep stack takes long. */
static bool is_in_finalizer(lua_State *L) {
  lua_Debug ar;
  if (lua_gc(L, LUA_GCISRUNNING, 0) > 0)
    return false;
  for (int i = 0; lua_getstack(L, i, &ar); i++)
    if (lua_getinfo(L, "n", &ar) && ar.name && strcmp(ar.name, "__gc") == 0 &&
        strcmp(ar.namewhat, "metamethod") == 0)
      return true;
  return false;
}

static void set_abort_hook(lua_State *L);

static int raise_abort(lua_State *L, lfb_state *S) {
  lfb_run *r = S->vm->current;
  if (is_in_finalizer(L))
    set_abort_hook(L);
  else if (r->stage != LFB_CLOSING)
    r->stage = LFB_RAISING;
  lfb_push_abort(L, r);
  return lua_error(L);
}

/* Can the task be left by a yield? Where nothing is closed on the way, an error
 * has to let go of what is held: it passes the functions that do that. */
static bool leaves_by_yield(lua_State *L, lfb_state *S) {
  return LFB_HAS_CLOSE && lfb_can_yield(L, S);
}

/* Count hook of a task that has been told to stop. */
static void abort_hook(lua_State *L, lua_Debug *ar) {
  lfb_state *S = lfb_state_find(L);
  (void)ar;
  lua_sethook(L, NULL, 0, 0);
  lf_usr1_answer();
  if (!lfb_take_signal(S)) { /* it was meant for a task that is over */
    if (S->vm)
      lfb_debug_task(S->vm, L);
    return;
  }
  if (leaves_by_yield(L, S))
    lua_yield(L, 0);
  else
    raise_abort(L, S);
}

/* Async-signal-safe. */
static void set_abort_hook(lua_State *L) {
  lua_sethook(L, abort_hook, LUA_MASKCOUNT, 1);
}

void lfb_look_soon(lfb_state *S) {
  if (!S->vm->interrupted)
    S->vm->interrupted = LFB_POKED;
  set_abort_hook(S->running);
}

int lfb_abort(lua_State *L, lfb_state *S, const char *message) {
  lfb_run *r = current(S);
  if (!r)
    return luaL_error(L, "%s", message);
  S->vm->interrupted = 0;
  if (message)
    note_abort(r, message);
  if (leaves_by_yield(L, S))
    return lua_yield(L, 0); /* past all that would catch an error */
  return raise_abort(L, S);
}

int lfb_task_exit(lua_State *L, lfb_state *S, int status) {
  char message[64];
  snprintf(message, sizeof message, "os.exit(%d) called in a task", status);
  return lfb_abort(L, S, message);
}

static _Thread_local lfb_frame *volatile frames;

void lfb_frame_enter(lfb_frame *frame, struct lf_vm *vm, bool native,
                     lf_task *task) {
  *frame = (lfb_frame){vm, native, task, frames};
  atomic_signal_fence(memory_order_seq_cst); /* a signal finds it complete */
  frames = frame;
}

void lfb_frame_leave(lfb_frame *frame) {
  frames = frame->below;
  atomic_signal_fence(memory_order_seq_cst);
}

void lfb_frame_end_task(void) {
  frames->task = NULL;
  atomic_signal_fence(memory_order_seq_cst);
}

const lfb_frame *lfb_frames(void) {
  return frames;
}

void lfb_interrupt_here(void) {
  for (lfb_frame *f = frames; f; f = f->below) {
    f->vm->interrupted = LFB_SIGNALLED;
    if (!f->native)
      set_abort_hook(f->vm->S->running);
  }
}

void lfb_poke_here(void) {
  for (lfb_frame *f = frames; f; f = f->below) {
    lfb_run *r = f->native ? NULL : f->vm->current;
    lf_task *t = r ? r->task : f->task;
    bool asked = t && lf_worker_is_asked(f->vm->worker, t);
    bool look = f->vm->S->reach && !f->native; /* what the program says */
    if (!asked && !look)
      continue;
    if (!f->vm->interrupted)
      f->vm->interrupted = LFB_POKED;
    if (!f->native) /* again: Lua may have been about to count instructions */
      set_abort_hook(f->vm->S->running);
  }
}

/* --- The program --- */

volatile int lfb_signalled;
unsigned lfb_interrupts;

/* For its signal handler, if the program is lfut; else NULL. */
static lfb_state *volatile program;

static void wake_program(lf_waker *waker) {
  lfb_state *S = lf_container_of(waker, lfb_state, global_waker);
  lf_unpark(&S->global->parker);
}

void lfb_program_adopt(lfb_state *S) {
  S->global_waker.wake = wake_program;
  S->waker = &S->global_waker;
  if (program)
    program = S;
}

void lfb_program_watch(lfb_state *S) {
  program = S;
}

/* The hook that the script had set where Ctrl-C has put its own. */
static struct {
  lua_State *L; /* NULL: none */
  lua_Hook hook;
  int mask, count;
} former;

/* Back to the script's. */
static void unset_hook(lua_State *L) {
  if (former.L == L)
    lua_sethook(L, former.hook, former.mask, former.count);
  else
    lua_sethook(L, NULL, 0, 0);
  if (former.L == L)
    former.L = NULL;
}

bool lfb_says_interrupted(const char *text) {
  size_t len = strlen(text), n = strlen(INTERRUPTED); /* behind a position */
  return len >= n && strcmp(text + len - n, INTERRUPTED) == 0;
}

/* Pushes the error of Ctrl-C, which stops all work. */
static void push_interrupted(lua_State *L, lfb_state *S) {
  lfb_signalled = 0;
  lfb_interrupts++;
  lfb_interrupt(S);
  S->interrupted = true;
  luaL_where(L, 0);
  lua_pushliteral(L, INTERRUPTED);
  lua_concat(L, 2);
}

static void program_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  unset_hook(L);
  lf_usr1_answer();
  if (!lfb_signalled)
    return; /* it has been raised elsewhere */
  push_interrupted(L, lfb_state_find(L));
  lua_error(L);
}

/* Async-signal-safe. */
static void set_program_hook(lua_State *L) {
  lua_Hook hook = lua_gethook(L);
  if (hook == program_hook)
    return;
  if (hook) {
    former.hook = hook;
    former.mask = lua_gethookmask(L);
    former.count = lua_gethookcount(L);
    former.L = L;
  }
  lua_sethook(L, program_hook, LUA_MASKCOUNT, 1);
}

lfb_state *lfb_program(void) {
  return program;
}

void lfb_answer_soon(lfb_state *S) {
  if (S->vm)
    set_abort_hook(S->running);
  else
    set_program_hook(S->running);
}

void lfb_program_signal(void) {
  lfb_interrupt_here(); /* tasks of an InlineExecutor */
  lfb_signalled = 1;
  set_program_hook(program->running);
  lf_unpark(&program->global->parker);
}

#if LFB_HAS_HOOKS
static int no_hook(lua_State *L) {
  (void)L;
  return 0;
}

/* What debug.sethook sets in Lua's terms of C. */
static lua_Hook debug_hook(lua_State *L) {
  int top = lua_gettop(L);
  lua_State *probe = lua_newthread(L);
  lua_pushcfunction(L, luaopen_debug);
  lua_call(L, 0, 1);
  lua_getfield(L, -1, "sethook");
  lua_pushvalue(L, top + 1);
  lua_pushcfunction(L, no_hook);
  lua_pushliteral(L, "c");
  lua_call(L, 3, 0);
  lua_settop(L, top);
  return lua_gethook(probe);
}

#else
/* It would be set for all coroutines. */
static lua_Hook debug_hook(lua_State *L) {
  (void)L;
  return NULL;
}
#endif

void lfb_interrupt_open(lua_State *L, lfb_state *S) {
  S->debug_hook = debug_hook(L);
}

void lfb_interrupt(lfb_state *S) {
  lf_commands_interrupt();
  /* From the last to the first: pools that end meanwhile take their places
   * from those that have had their turn. */
  for (size_t i = lf_registry_count(&S->global->registry); i-- > 0;) {
    lf_pool *p = lf_registry_pool(&S->global->registry, i);
    if (!p)
      continue;
    lf_pool_interrupt_all(p);
    lf_pool_unref(p);
  }
}

/* --- Either: coroutines --- */

/* The coroutine that runs has changed: what has been noted is for this one. */
static void rearm(lua_State *L, lfb_state *S) {
  if (S->vm) {
    if (S->vm->current && S->vm->interrupted)
      set_abort_hook(L);
  } else if (lfb_signalled) {
    set_program_hook(L);
  }
}

int lfb_resume(lua_State *L, lfb_state *S, lua_State *co, int nargs,
               int *nresults) {
  lua_State *outer = S->running;
  bool yields = S->yields;
  S->yields = yields && lfb_can_yield(L, S);
  S->running = co;
  rearm(co, S);
  int status = lua_resume(co, L, nargs, nresults);
  S->copying = false; /* it may have come to an error */
  S->running = outer;
  S->yields = yields;
  rearm(outer, S);
  return status;
}

int lfb_close_co(lua_State *L, lfb_state *S, lua_State *co) {
  lua_State *outer = S->running;
  bool yields = S->yields;
  S->yields = false;
  S->running = co;
  rearm(co, S);
  int status = lfb_closethread(co, L);
  S->copying = false;
  S->running = outer;
  S->yields = yields;
  rearm(outer, S);
  return status;
}

/* A coroutine that the task has left by a yield goes on with the error that
 * ends the task, so that the handlers of its variables see that. It cannot
 * yield any more; whatever it does else, it is closed. */
static void raise_in(lua_State *L, lfb_state *S, lua_State *co) {
  int n;
  lua_State *outer = S->running;
  bool yields = S->yields;
  S->yields = false;
  S->running = co;
  S->vm->interrupted = LFB_POKED; /* for the hook, and what waits */
  set_abort_hook(co);
  (void)lua_resume(co, L, 0, &n);
  S->running = outer;
  S->yields = yields;
}

void lfb_close_last(lua_State *L, lfb_run *r, lua_State *co) {
  if (LFB_HAS_CLOSE && r->reason != LF_GO_ON && lua_status(co) == LUA_YIELD) {
    r->stage = LFB_ABORTED;
    raise_in(L, r->vm->S, co);
  }
  r->stage = LFB_CLOSING;
  lfb_close_co(L, r->vm->S, co);
  r->stage = r->abort[0] ? LFB_ABORTED : LFB_RUNNING;
}

/* --- Either: waits --- */

/* Runs a little code, for the hook to do what it is there for: to raise. True:
 * the error is at the top. */
static bool hook_raises(lua_State *L) {
  luaL_checkstack(L, 5, "hook");
  return luaL_loadstring(L, "return") != LUA_OK ||
         lua_pcall(L, 0, 0, 0) != LUA_OK;
}

/* Has the program's signal handler, if that is not lfut's, set a hook in the
 * main thread that raises? */
static bool is_signalled_elsewhere(lua_State *L, lfb_state *S) {
  lua_Hook hook = lua_gethook(S->L);
  if (!hook || hook == S->debug_hook || hook == program_hook)
    return false;
  if (L != S->L) {
    lua_sethook(L, hook, lua_gethookmask(S->L), lua_gethookcount(S->L));
    lua_sethook(S->L, NULL, 0, 0);
  }
  if (!hook_raises(L))
    return false;
  lfb_interrupt(S);
  S->interrupted = true;
  return true;
}

bool lfb_is_signalled(lua_State *L, lfb_state *S) {
  if (S->vm)
    return lfb_take_signal(S);
  S->interrupted = false;
  if (!lfb_signalled)
    return is_signalled_elsewhere(L, S);
  push_interrupted(L, S);
  return true;
}

bool lfb_is_interrupted(lua_State *L, lfb_state *S) {
  if (lfb_is_signalled(L, S))
    return true;
  return !S->vm && S->debug_hook && lua_gethook(L) == S->debug_hook &&
         hook_raises(L);
}

int lfb_raise_interrupted(lua_State *L, lfb_state *S) {
  if (S->vm)
    return lfb_abort(L, S, NULL);
  S->interrupted = false;
  return lua_error(L);
}

bool lfb_must_stop(const lfb_state *S) {
  return S->vm ? lfb_is_aborted(S) : S->interrupted;
}

int lfb_cancelled(lua_State *L) {
  const lfb_run *r = current(lfb_self(L));
  lua_pushboolean(L, r && r->task && lf_task_reason(r->task) != LF_GO_ON);
  return 1;
}
