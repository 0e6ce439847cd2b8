/* SPDX-License-Identifier: MIT
 *
 * See borrow.h. A borrow is in its sender's list until it has been given back;
 * then in the list of returned ones, until the sender's thread comes by. */
#include "bindings/pack/borrow.h"

#include "bindings/core/error.h"
#include "runtime/base/atfork.h"
#include "runtime/base/mem.h"

#include <sched.h>

struct lfb_borrow {
  lf_link link;      /* in a list of the sender's; the lock */
  lfb_state *sender; /* NULL: it has closed; the lock */
  const char *bytes; /* the lock, or while readers > 0 */
  size_t len;
  int readers; /* the lock */
  bool copied; /* 'bytes' is ours, NULL for lack of memory; the lock */
};

LF_FORK_MUTEX(lock, LF_FORK_BORROWED, NULL);

static void free_borrow(lfb_borrow *borrow) {
  if (borrow->copied)
    lf_free((char *)borrow->bytes);
  lf_free(borrow);
}

/* Under the lock, while nobody reads. */
static void make_copy(lfb_borrow *borrow) {
  lf_list_del(&borrow->link);
  borrow->bytes = lf_strndup(borrow->bytes, borrow->len);
  borrow->copied = true;
  borrow->sender = NULL;
}

/* When the sender closes: what is still lent is copied. */
static void close_borrowed(lfb_state *S) {
  lf_link *l;
  pthread_mutex_lock(&lock);
  while (!lf_list_empty(&S->lent)) {
    lfb_borrow *borrow = lf_container_of(S->lent.next, lfb_borrow, link);
    if (borrow->readers > 0) { /* it may be given back meanwhile */
      pthread_mutex_unlock(&lock);
      sched_yield();
      pthread_mutex_lock(&lock);
      continue;
    }
    make_copy(borrow);
  }
  while ((l = lf_list_pop(&S->returned)))
    free_borrow(lf_container_of(l, lfb_borrow, link));
  pthread_mutex_unlock(&lock);
}

lfb_borrow *lfb_borrow_new(lua_State *L, lfb_state *S, int idx) {
  lfb_borrowed_collect(L, S);
  lfb_at_close(S, close_borrowed);
  lua_pushvalue(L, idx);
  lfb_push_ref(L, LFB_REF_BORROWED);
  lfb_borrow *borrow = lf_zalloc(sizeof *borrow);
  if (!borrow)
    lfb_raise_memory(L);
  lf_list_init(&borrow->link);
  borrow->bytes = lua_tolstring(L, -2, &borrow->len);
  borrow->sender = S;
  pthread_mutex_lock(&lock);
  lf_list_add(&S->returned, &borrow->link); /* in case of an error below */
  pthread_mutex_unlock(&lock);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, borrow);
  lua_pop(L, 2);
  pthread_mutex_lock(&lock);
  lf_list_del(&borrow->link);
  lf_list_add(&S->lent, &borrow->link);
  pthread_mutex_unlock(&lock);
  return borrow;
}

void lfb_borrow_drop(void *p) {
  lfb_borrow *borrow = p;
  pthread_mutex_lock(&lock);
  bool orphan = !borrow->sender;
  lf_list_del(&borrow->link);
  if (!orphan) {
    lf_list_add(&borrow->sender->returned, &borrow->link);
    atomic_store_explicit(&borrow->sender->any_returned, true,
                          memory_order_relaxed);
    lfb_note_news(borrow->sender);
  }
  pthread_mutex_unlock(&lock);
  if (orphan)
    free_borrow(borrow);
}

static int push_copy(lua_State *L) {
  lfb_borrow *borrow = lua_touserdata(L, 1);
  if (!borrow->bytes)
    return lfb_raise_memory(L);
  lua_pushlstring(L, borrow->bytes, borrow->len);
  return 1;
}

void lfb_push_borrow(lua_State *L, lfb_borrow *borrow) {
  pthread_mutex_lock(&lock);
  borrow->readers++;
  pthread_mutex_unlock(&lock);
  lua_pushcfunction(L, push_copy);
  lua_pushlightuserdata(L, borrow);
  int status = lua_pcall(L, 1, 1, 0);
  pthread_mutex_lock(&lock);
  borrow->readers--;
  pthread_mutex_unlock(&lock);
  if (status != LUA_OK)
    lua_error(L);
}

void lfb_borrowed_collect(lua_State *L, lfb_state *S) {
  if (!atomic_load_explicit(&S->any_returned, memory_order_relaxed))
    return;
  lf_link back, *l;
  lf_list_init(&back);
  pthread_mutex_lock(&lock);
  lf_list_move(&back, &S->returned);
  atomic_store_explicit(&S->any_returned, false, memory_order_relaxed);
  pthread_mutex_unlock(&lock);
  lfb_push_ref(L, LFB_REF_BORROWED);
  while ((l = lf_list_pop(&back))) {
    lfb_borrow *borrow = lf_container_of(l, lfb_borrow, link);
    lua_pushnil(L);
    lua_rawsetp(L, -2, borrow); /* removing needs no memory */
    free_borrow(borrow);
  }
  lua_pop(L, 1);
}

void lfb_borrowed_forget(lfb_state *S) {
  lf_link *l;
  pthread_mutex_lock(&lock);
  while ((l = lf_list_pop(&S->lent))) {
    lfb_borrow *borrow = lf_container_of(l, lfb_borrow, link);
    borrow->sender = NULL;
    borrow->readers = 0;
  }
  while ((l = lf_list_pop(&S->returned)))
    free_borrow(lf_container_of(l, lfb_borrow, link));
  atomic_store(&S->any_returned, false);
  pthread_mutex_unlock(&lock);
}
