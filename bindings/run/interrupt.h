/* SPDX-License-Identifier: MIT
 *
 * Ctrl-C in the program, and the end of a task before its time: how running Lua
 * code is stopped. There is one way for both.
 *
 * Who asks for it (a signal handler, os.exit) notes it and sets a count hook in
 * the coroutine that runs. A script gets an error by that hook, or in the wait
 * that it is in, as from anywhere else. A task gets out of its code by a yield,
 * which nothing in between can catch; where Lua cannot yield, by an error,
 * which lfut's own pcall and the like (protect.h, coro.h) do not keep. On the
 * way each coroutine is closed, innermost first, and at last the task's own, so
 * every to-be-closed variable is closed. Its handlers run to their end: nothing
 * stops them. */
#ifndef LFB_RUN_INTERRUPT_H
#define LFB_RUN_INTERRUPT_H

#include "bindings/core/state.h"

struct lfb_run;

/* How long a thread sleeps before it looks for a hook that a signal may have
 * set in between, in seconds: the handlers of other programs than lfut do not
 * wake us. */
#define LFB_LOOK_AGAIN 0.25

/* --- Where a task may yield --- */

/* Is L the innermost coroutine of the task that runs, and has lfut resumed all
 * those below it, from places where Lua can yield? */
static inline bool lfb_can_yield(lua_State *L, lfb_state *S) {
  return S->yields && L == S->running && lua_isyieldable(L);
}

/* Resumes the coroutine as one that lfut knows of, as lua_resume does. */
int lfb_resume(lua_State *L, lfb_state *S, lua_State *co, int nargs,
               int *nresults);

/* Closes the coroutine likewise, as lua_closethread does. */
int lfb_close_co(lua_State *L, lfb_state *S, lua_State *co);

/* The same at the end of a task: nothing stops the handlers that it runs. */
void lfb_close_last(lua_State *L, struct lfb_run *run, lua_State *co);

/* --- Stopping a task --- */

/* Has the task that runs been told to stop, and is not at its end yet? */
bool lfb_is_aborted(const lfb_state *S);

/* Has it been told to, at its end or not? */
bool lfb_is_to_end(const lfb_state *S);

/* Has the task that runs take up at its next instruction what has been noted,
 * as the next. */
void lfb_look_soon(lfb_state *S);

/* Takes up what the signal handler has noted; is the task aborted? */
bool lfb_take_signal(lfb_state *S);

/* The end of the task with an error that it cannot catch: raises or yields, so
 * 'return' it. 'message' NULL: it is aborted already. */
int lfb_abort(lua_State *L, lfb_state *S, const char *message);

/* For the next two. */
bool lfb_task_is_handling(const lfb_state *S);
bool lfb_task_ends(lfb_state *S);

/* For functions that call others and keep their errors: is this one called by a
 * handler, on the way of the error that ends the task? Then it may keep those.
 */
static inline bool lfb_is_handling(const lfb_state *S) {
  return S->vm && lfb_task_is_handling(S);
}

/* When such a function has made its call, 'handling' being what the above was
 * before: is it to go on with the end of the task, by lfb_abort? */
static inline bool lfb_ends_task(lfb_state *S, bool handling) {
  return S->vm && !handling && lfb_task_ends(S);
}

/* The run has been parked: if it has been asked to stop meanwhile, it goes on
 * to end. And it goes on: how it is to end is noted, if it has to. */
void lfb_note_parked(struct lfb_run *run);
void lfb_note_resumed(struct lfb_run *run);

/* On the worker's thread: some of its tasks have been asked to stop. */
void lfb_stop_asked(struct lf_vm *vm);

/* The same: what is parked, and would occupy the worker, is to end. */
void lfb_interrupt_parked(struct lf_vm *vm);

/* Visits the tasks that are in the interpreter, until 'visit' says false. */
void lfb_each_task(struct lf_vm *vm, bool (*visit)(lf_task *task, void *arg),
                   void *arg);

/* Pushes the error with which the run has been told to end. */
void lfb_push_abort(lua_State *L, const struct lfb_run *run);

/* os.exit in a task: its end. 'return' it. */
int lfb_task_exit(lua_State *L, lfb_state *S, int status);

/* An interpreter that runs a task on this thread, and below it the one that had
 * it run. */
typedef struct lfb_frame {
  struct lf_vm *vm;
  bool native;   /* no Lua runs, but */
  lf_task *task; /* this one (may be NULL) */
  struct lfb_frame *below;
} lfb_frame;

/* 'native': without Lua; of 'task' then (may be NULL). */
void lfb_frame_enter(lfb_frame *frame, struct lf_vm *vm, bool native,
                     lf_task *task);
void lfb_frame_leave(lfb_frame *frame);

/* The calling thread ends the task of its innermost frame: others do not look
 * at it any more. */
void lfb_frame_end_task(void);

/* Async-signal-safe: the innermost frame of the calling thread, or NULL. */
const lfb_frame *lfb_frames(void);

/* Async-signal-safe, on the thread concerned: the tasks that run there end with
 * "interrupted!"; or they look whether they have been asked to stop. */
void lfb_interrupt_here(void);
void lfb_poke_here(void);

/* --- Ctrl-C in the program --- */

/* Before the program runs code: what signal handlers need. */
void lfb_interrupt_open(lua_State *L, lfb_state *S);

/* The interpreter is a program's, the first one's or, from now on, that of a
 * forked process: its thread is woken when a done-callback falls due. */
void lfb_program_adopt(lfb_state *S);

/* And its signal handler calls lfb_program_signal; NULL: not any more. */
void lfb_program_watch(lfb_state *S);

/* Async-signal-safe, on the program's thread: that, or NULL. */
lfb_state *lfb_program(void);

/* Async-signal-safe: where the interpreter's Lua code goes on, the calling
 * thread answers what it is asked (pool/usr1.h). */
void lfb_answer_soon(lfb_state *S);

/* Async-signal-safe, on the program's thread: its Lua code, or its blocked lfut
 * call, raises "interrupted!". */
void lfb_program_signal(void);

/* Ctrl-C has come; set in the signal's handler, reset when it is raised. */
extern volatile int lfb_signalled;

/* How often that has been raised in the program. */
extern unsigned lfb_interrupts;

/* Cancels all queued work of the program and stops what runs. */
void lfb_interrupt(lfb_state *S);

/* --- While something waits --- */

/* Is the wait to end by an error? In the program that is at the top then. */
bool lfb_is_interrupted(lua_State *L, lfb_state *S);

/* Is that the message of an error that Ctrl-C, or the program's end, has
 * raised?
 */
bool lfb_says_interrupted(const char *text);

/* Is Ctrl-C the reason to end (no hook that a script has set)? As above. */
bool lfb_is_signalled(lua_State *L, lfb_state *S);

/* Then: raises it, or ends the task. 'return' it. */
int lfb_raise_interrupted(lua_State *L, lfb_state *S);

/* Is "interrupted!" or the end of a task on its way up, which nobody between
 * may keep? */
bool lfb_must_stop(const lfb_state *S);

/* lfut.cancelled() */
int lfb_cancelled(lua_State *L);

#endif
