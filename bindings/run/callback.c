/* SPDX-License-Identifier: MIT
 *
 * See callback.h. A callback is a userdata with the future and the function as
 * user values, kept alive by a table in the registry until it has run. */
#include "bindings/run/callback.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bindings/core/error.h"
#include "bindings/core/options.h"
#include "bindings/run/interrupt.h"
#include "bindings/run/poll.h"
#include "runtime/os/thread.h"
#include "runtime/sync/terminal.h"

typedef struct {
  lf_link link; /* in S->callbacks */
  lf_waiter waiter;
  lf_node node; /* among the due */
  lfb_state *S;
} callback;

static void ring_bell(lfb_state *S) {
  int bell = atomic_load(&S->bell);
  if (bell)
    lf_eventfd_ring(bell);
}

/* Any thread: the future is done. */
static void fall_due(callback *cb) {
  lfb_state *S = cb->S;
  lf_stack_push(&S->due, &cb->node);
  lfb_note_news(S);
  ring_bell(S);
  if (S->waker)
    S->waker->wake(S->waker);
}

static void callback_fire(lf_waiter *waiter) {
  fall_due(lf_container_of(waiter, callback, waiter));
}

static void close_bell(lfb_state *S) {
  int bell = atomic_exchange(&S->bell, 0);
  if (bell)
    close(bell);
}

/* Forgets all; when the interpreter closes. */
static void drop_callbacks(lfb_state *S) {
  lf_link *l;
  while ((l = lf_list_pop(&S->callbacks)))
    lf_waiter_remove(&lf_container_of(l, callback, link)->waiter);
  close_bell(S);
}

/* It runs nothing that is due: who asks for it is about to wait. */
int lfb_fileno(lua_State *L) {
  lfb_state *S = lfb_self(L);
  if (S->bell_generation != lf_generation)
    close_bell(S); /* it is the parent's */
  if (!atomic_load(&S->bell)) {
    lfb_at_close(S, drop_callbacks);
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (bell == 0) { /* standard input is closed, and 0 means none */
      bell = fcntl(0, F_DUPFD_CLOEXEC, 3);
      close(0);
    }
    if (bell < 0)
      return luaL_error(L, "cannot make a descriptor: %s", strerror(errno));
    S->bell_generation = lf_generation;
    atomic_store(&S->bell, bell);
    if (lfb_callbacks_due(S))
      lf_eventfd_ring(bell);
  }
  lua_pushinteger(L, atomic_load(&S->bell));
  return 1;
}

/* Before what is due is taken: what comes later rings again. */
static void silence_bell(const lfb_state *S) {
  uint64_t rung;
  int bell = atomic_load(&S->bell);
  if (bell && read(bell, &rung, sizeof rung) < 0)
    lf_check(errno == EAGAIN || errno == EINTR); /* it was not rung */
}

void lfb_add_callback(lua_State *L, lfb_state *S, int future, int fn) {
  lf_task *task = *(lf_task **)lua_touserdata(L, future);
  lfb_push_ref(L, LFB_REF_CALLBACKS);
  callback *cb = lua_newuserdatauv(L, sizeof *cb, 2);
  lua_pushvalue(L, future);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, fn);
  lua_setiuservalue(L, -2, 2);
  lua_rawsetp(L, -2, cb);
  lua_pop(L, 1);
  cb->S = S;
  cb->waiter.fire = callback_fire;
  lfb_at_close(S, drop_callbacks);
  lf_list_add(&S->callbacks, &cb->link);
  if (!lf_waiter_add(&cb->waiter, task))
    fall_due(cb);
}

int lfb_add_done_callback(lua_State *L) {
  lfb_state *S = lfb_self(L);
  lf_task **future = lfb_check(L, 1, LFB_FUTURE);
  lfb_check_callable(L, 2);
  lfb_refuse_foreign(L, *future);
  lf_task_ask(*future);
  lfb_add_callback(L, S, 1, 2);
  lfb_callbacks_run(L, S);
  return 0;
}

static callback *take_due(lfb_state *S) {
  lf_node *node = lf_stack_take(&S->due);
  return node ? lf_container_of(node, callback, node) : NULL;
}

/* Pushes the function and its future, and forgets the callback. */
static void push_call(lua_State *L, callback *cb) {
  lf_list_del(&cb->link);
  lf_waiter_remove(&cb->waiter); /* who told of it is through with it */
  lfb_push_ref(L, LFB_REF_CALLBACKS);
  int refs = lua_gettop(L);
  lua_rawgetp(L, refs, cb);
  lua_getiuservalue(L, -1, 2);
  lua_getiuservalue(L, -2, 1);
  lua_pushnil(L);
  lua_rawsetp(L, refs, cb);
  lua_remove(L, refs);
  lua_remove(L, refs);
}

static int to_string(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* The error value at the top, which is popped. Nothing in it may raise. */
static void report(lua_State *L) {
  lua_pushcfunction(L, to_string);
  lua_pushvalue(L, -2);
  bool ok = lua_pcall(L, 1, 1, 0) == LUA_OK;
  lf_terminal_complain("lfut: error in done-callback: %s\n",
                       ok ? lua_tostring(L, -1)
                          : "(error object that cannot be shown)");
  lua_pop(L, 2);
}

void lfb_callbacks_run(lua_State *L, lfb_state *S) {
  if (S->in_callback)
    return;
  callback *cb;
  luaL_checkstack(L, 10, "done-callbacks");
  silence_bell(S);
  while ((cb = take_due(S))) {
    push_call(L, cb);
    S->in_callback = true;
    S->interrupted = false;
    int status = lua_pcall(L, 1, 0, 0);
    S->in_callback = false;
    if (status != LUA_OK && lfb_must_stop(S)) {
      ring_bell(S); /* for those that are left */
      lua_error(L);
    }
    if (status != LUA_OK)
      report(L);
  }
}

bool lfb_callbacks_left(lfb_state *S) {
  return !lf_list_empty(&S->callbacks);
}

void lfb_callbacks_forget(lfb_state *S) {
  drop_callbacks(S);
  lf_stack_init(&S->due);
}
