/* SPDX-License-Identifier: MIT
 *
 * How a pool's workers start: what they take over from the program, and the
 * initializer. */
#ifndef LFB_WORKER_SETUP_H
#define LFB_WORKER_SETUP_H

#include "bindings/core/state.h"
#include "bindings/pack/reach.h"

/* How an interpreter starts: package.path, package.cpath, arg and the loaders
 * in package.preload, as the program has them. Counted, read-only. */
typedef struct {
  _Atomic size_t refs;
  uint64_t version;
  lf_buf packed;
  char *path; /* package.path, for who looks for others; or NULL */
} lfb_start;

/* The same for all workers of a pool: read-only, owned by the pool. */
typedef struct {
  lfb_global *global;           /* a reference */
  lf_buf initializer;           /* packed: function or source text, arguments */
  const lf_buf *initializer_in; /* where it is: the same, or the greeting */
  size_t initializer_at;
  bool has_initializer; /* or a finalizer, which is packed with it */
  const char *kind;     /* "thread", "inline", "process", "cluster" */
  bool single;          /* the pool's name is that of its one worker */
  /* For processes. */
  lfb_reach_kind far; /* how far that is: LFB_REACH_POOL, or more */
  lfb_reach reach;    /* from the program to them, or from one back */
  lfb_known *known;   /* what these have already; owned; or NULL */
  lfb_state *image;   /* whose interpreter forked workers go on with, once this
                         has made it a worker's; raises */
  void (*adopt)(lua_State *L, struct lf_vm *vm);
  lf_buf greeting;        /* what spawned workers are told */
  _Atomic uint64_t start; /* the version of lfb_start that the workers know */
} lfb_setup;

/* The initializer is at 'idx', with its list of arguments and the finalizer
 * behind it; nil for none. 'reach': to the workers. Raises on error. */
lfb_setup *lfb_setup_new(lua_State *L, lfb_state *S, int idx, const char *kind,
                         const lfb_reach *reach);

/* The pool's setup, of worker processes: values go to its workers, or from one
 * back. */
const lfb_reach *lfb_setup_reach(lf_pool *pool, lfb_known *known);

/* Are the pool's workers on any machine, and is nothing shared with them? */
bool lfb_is_cluster(lf_pool *pool);

/* In the program, when the script has let go of the pool. */
void lfb_setup_forget(lua_State *L, lf_pool *pool);

void lfb_setup_free(void *setup);

/* Are there any of them? */
bool lfb_has_initializer(lua_State *L, int idx);

/* Appends the initializer at 'idx' with its arguments, and the finalizer, each
 * as a stream of its own, for workers that are so far away. Raises. */
void lfb_initializer_pack(lua_State *L, lfb_state *S, lf_buf *out, int idx,
                          const lfb_reach *reach);

/* What workers are told that are not forked, from elsewhere (so far): into the
 * setup. The initializer is at 'idx' as above. Raises. */
void lfb_greeting_pack(lua_State *L, lfb_state *S, lfb_setup *setup, int idx,
                       const lfb_reach *reach);

/* How an interpreter starts, as a stream; 'out' is reset first. Raises. */
void lfb_start_pack(lua_State *L, lfb_state *S, lf_buf *out);

/* In the program: notes how interpreters are to start from now on. Raises. */
void lfb_start_note(lua_State *L, lfb_state *S);

/* In the program, before something is submitted: lets the pool's worker
 * processes know how interpreters start, if that has changed. */
void lfb_start_tell(lfb_state *S, lf_pool *pool);

/* Interpreters of the global state start so from now on; takes over the packed
 * values; 'path': package.path, or NULL. NULL: no memory. */
const lfb_start *lfb_start_publish(lfb_global *global, lf_buf *packed,
                                   const char *path);

/* In a worker: starts as the program says, if it says something new.
 * Raises. */
void lfb_start_apply(lua_State *L, lfb_state *S);

#endif
