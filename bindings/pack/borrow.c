/* SPDX-License-Identifier: MIT
 *
 * See borrow.h. A loan is in its sender's list until it has been given back;
 * then in the list of returned ones, until the sender's thread comes by. */
#include "bindings/pack/borrow.h"

#include "bindings/core/error.h"
#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"

#include <sched.h>

struct lfb_loan {
  lf_link link;      /* in a list of the sender's; the lock */
  lfb_state *sender; /* NULL: it has closed; the lock */
  const char *bytes; /* the lock, or while readers > 0 */
  size_t len;
  int readers; /* the lock */
  bool copied; /* 'bytes' is ours, NULL for lack of memory; the lock */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void take_lock(void) {
  pthread_mutex_lock(&lock);
}

static void give_lock(void) {
  pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void survive_fork(void) {
  lf_at_fork(LF_FORK_LOANS, take_lock, give_lock, give_lock);
}

static void free_loan(lfb_loan *loan) {
  if (loan->copied)
    lf_free((char *)loan->bytes);
  lf_free(loan);
}

/* Under the lock, while nobody reads. */
static void make_copy(lfb_loan *loan) {
  lf_list_del(&loan->link);
  loan->bytes = lf_strndup(loan->bytes, loan->len);
  loan->copied = true;
  loan->sender = NULL;
}

/* When the sender closes: what is still lent is copied. */
static void close_loans(lfb_state *S) {
  lf_link *l;
  pthread_mutex_lock(&lock);
  while (!lf_list_empty(&S->lent)) {
    lfb_loan *loan = lf_container_of(S->lent.next, lfb_loan, link);
    if (loan->readers > 0) { /* it may be given back meanwhile */
      pthread_mutex_unlock(&lock);
      sched_yield();
      pthread_mutex_lock(&lock);
      continue;
    }
    make_copy(loan);
  }
  while ((l = lf_list_pop(&S->returned)))
    free_loan(lf_container_of(l, lfb_loan, link));
  pthread_mutex_unlock(&lock);
}

lfb_loan *lfb_lend(lua_State *L, lfb_state *S, int idx) {
  lfb_loans_collect(L, S);
  lfb_at_close(S, close_loans);
  lua_pushvalue(L, idx);
  lfb_push_ref(L, LFB_REF_LOANS);
  lfb_loan *loan = lf_zalloc(sizeof *loan);
  if (!loan)
    lfb_raise_memory(L);
  lf_list_init(&loan->link);
  loan->bytes = lua_tolstring(L, -2, &loan->len);
  loan->sender = S;
  pthread_mutex_lock(&lock);
  lf_list_add(&S->returned, &loan->link); /* in case of an error below */
  pthread_mutex_unlock(&lock);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, loan);
  lua_pop(L, 2);
  pthread_mutex_lock(&lock);
  lf_list_del(&loan->link);
  lf_list_add(&S->lent, &loan->link);
  pthread_mutex_unlock(&lock);
  return loan;
}

void lfb_loan_drop(void *p) {
  lfb_loan *loan = p;
  pthread_mutex_lock(&lock);
  bool orphan = !loan->sender;
  lf_list_del(&loan->link);
  if (!orphan) {
    lf_list_add(&loan->sender->returned, &loan->link);
    atomic_store_explicit(&loan->sender->any_returned, true,
                          memory_order_relaxed);
    lfb_note_news(loan->sender);
  }
  pthread_mutex_unlock(&lock);
  if (orphan)
    free_loan(loan);
}

static int push_copy(lua_State *L) {
  lfb_loan *loan = lua_touserdata(L, 1);
  if (!loan->bytes)
    return lfb_raise_memory(L);
  lua_pushlstring(L, loan->bytes, loan->len);
  return 1;
}

void lfb_push_loan(lua_State *L, lfb_loan *loan) {
  pthread_mutex_lock(&lock);
  loan->readers++;
  pthread_mutex_unlock(&lock);
  lua_pushcfunction(L, push_copy);
  lua_pushlightuserdata(L, loan);
  int status = lua_pcall(L, 1, 1, 0);
  pthread_mutex_lock(&lock);
  loan->readers--;
  pthread_mutex_unlock(&lock);
  if (status != LUA_OK)
    lua_error(L);
}

void lfb_loans_collect(lua_State *L, lfb_state *S) {
  if (!atomic_load_explicit(&S->any_returned, memory_order_relaxed))
    return;
  lf_link back, *l;
  lf_list_init(&back);
  pthread_mutex_lock(&lock);
  lf_list_move(&back, &S->returned);
  atomic_store_explicit(&S->any_returned, false, memory_order_relaxed);
  pthread_mutex_unlock(&lock);
  lfb_push_ref(L, LFB_REF_LOANS);
  while ((l = lf_list_pop(&back))) {
    lfb_loan *loan = lf_container_of(l, lfb_loan, link);
    lua_pushnil(L);
    lua_rawsetp(L, -2, loan); /* removing needs no memory */
    free_loan(loan);
  }
  lua_pop(L, 1);
}

void lfb_loans_forget(lfb_state *S) {
  lf_link *l;
  pthread_mutex_lock(&lock);
  while ((l = lf_list_pop(&S->lent))) {
    lfb_loan *loan = lf_container_of(l, lfb_loan, link);
    loan->sender = NULL;
    loan->readers = 0;
  }
  while ((l = lf_list_pop(&S->returned)))
    free_loan(lf_container_of(l, lfb_loan, link));
  atomic_store(&S->any_returned, false);
  pthread_mutex_unlock(&lock);
}
