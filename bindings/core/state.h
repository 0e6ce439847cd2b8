/* SPDX-License-Identifier: MIT
 *
 * What lfut keeps for each interpreter, the program's and every worker's: its
 * state (an lfb_state), the first upvalue of all lfut's C functions. Only the
 * interpreter's own thread touches it, except where said. */
#ifndef LFB_CORE_STATE_H
#define LFB_CORE_STATE_H

#include <stdio.h>

#include "bindings/core/class.h"
#include "bindings/engine/steps.h"

#include "runtime/base/code.h"
#include "runtime/base/stack.h"
#include "runtime/pool/pool.h"
#include "runtime/pool/registry.h"

/* C stack that has to be left, in bytes, for running a task on top of another,
 * and for objects within objects. */
enum { LFB_STACK = 256 << 10 };

enum {
  LFB_SLOTS = LF_LIMIT(256, 4),
  LFB_MAKERS = LF_LIMIT(512, 8),
  LFB_KEYS = LF_LIMIT(32, 2)
};

/* How interpreters start, which worker/setup.c knows and fills in before the
 * first one does. */
typedef struct {
  void *latest; /* the program's and its interpreters'; under the global state's
                   lock */
  void (*free)(void *latest);
  /* In the program: modules have come since. In a worker: a module is not
   * known. Raises. NULL: nobody has started yet. */
  void (*refresh)(lua_State *L, lfb_state *S);
} lfb_starting;

/* What the program and all the interpreters started from it share. Lives as
 * long as any of them. */
typedef struct lfb_global {
  _Atomic size_t refs;
  uint32_t generation; /* whose process (fork.h) */
  lf_registry registry;
  lf_parker parker;      /* of the program's thread */
  int workers;           /* default number, 0: none was given */
  atomic_bool warns;     /* workers begin with warnings on */
  bool is_lfut;          /* the program is lfut, not one that uses the module */
  const char *client;    /* of a cluster: whose tasks are run here; or NULL */
  bool has_own_path;     /* workers look for modules where they are */
  atomic_bool abandoned; /* no work is to be finished at the end */
  /* Opens the module in an interpreter of it. Raises. */
  void (*open)(lua_State *L, struct lfb_state *S);
  pthread_mutex_t lock;
  lfb_starting start;
  _Atomic(lf_buf *) drivers; /* bytecode (worker/chunk.c), once it is made */
  struct lfb_global *former; /* in a forked process: the parent's */
} lfb_global;

lfb_global *lfb_global_ref(lfb_global *global);
void lfb_global_unref(lfb_global *global);

/* By what name a task, or an interpreter outside of one, holds locks (arena.h):
 * given when it is first needed, anew in a forked process. */
typedef struct {
  uint64_t id; /* 0: none yet */
  uint32_t generation;
} lfb_holder;

/* Functions whose bytecode is known; the closure itself is in the table
 * LFB_REF_SLOTS (weak) at the same index. */
typedef struct {
  const void *closure;
  lf_code *code;  /* a reference */
  uint64_t names; /* the interpreter's when it was looked up */
} lfb_slot;

/* A key of tables that has been written to a stream (pack/keys.c). */
typedef struct {
  const char *text; /* where Lua has it */
  uint32_t stream;  /* which stream */
  uint16_t number;  /* in that */
  bool meta;        /* it begins with "__" */
} lfb_key;

/* What makes closures of a code: a function in the registry. */
typedef struct {
  uint64_t code; /* its id */
  int ref;       /* 0, LUA_NOREF: there is none, it has been loaded once */
} lfb_maker;

/* What is to be done when the state of an interpreter is closed. */
typedef void (*lfb_closer)(lfb_state *S);

enum { LFB_CLOSERS = 4 };

typedef struct lfb_blocked lfb_blocked; /* run/position.h */

struct lfb_state {
  lua_State *L;                /* the interpreter's main thread */
  lua_State *volatile running; /* the innermost coroutine that lfut has resumed
                                  and that runs; read by signal handlers */
  bool yields;       /* a task runs, and nothing below 'running' cannot yield */
  lua_State *hooked; /* the task for which a hook of the program's runs */
  lua_Hook debug_hook;              /* the program's: what debug.sethook sets */
  const void *classes[LFB_CLASSES]; /* addresses of the metatables */
  const lfb_descriptor *descriptors[LFB_CLASSES]; /* NULL: not made yet */
  uint64_t id;                                    /* never used again */
  lfb_global *global;        /* a reference; NULL: the state is closed */
  struct lf_vm *vm;          /* NULL in the program */
  struct lfb_output *output; /* of the worker that this was before a fork */
  FILE *out; /* the interpreter's standard output: a worker's, also after a
                fork, or the program's */
  FILE *err; /* the same of its standard error */
  const struct lfb_reach *reach; /* in a worker process: its pool, and how far
                                    what it gives back goes; else NULL */

  /* What lfb_poll looks at (run/poll.h): the generation of this process, or
   * LFB_NEWS. */
  _Atomic uint32_t news;

  /* Done-callbacks (callback.c). */
  lf_link callbacks;        /* all that have not run */
  lf_stack due;             /* pushed by any thread */
  lf_waker *waker;          /* who is told when one falls due */
  _Atomic int bell;         /* an eventfd that is rung then; 0: none */
  uint32_t bell_generation; /* of its process */
  lf_waker global_waker;    /* the program's: unparks its thread */
  uint64_t futures;         /* made so far (pool/future.c) */
  unsigned submits;  /* of tasks, by this interpreter, as far as they have
                        been counted; so many are left until one is timed */
  unsigned untimed;  /* again; */
  int64_t last_born; /* and the last stamp of one (pool/executor.c) */
  bool in_callback;
  bool copying;     /* lfut's own: no memory is refused */
  unsigned copies;  /* begun so far */
  bool interrupted; /* the program's: "interrupted!" is on its way up */

  lfb_blocked *volatile blocked; /* its innermost wait, of a thread that sleeps,
                                    or NULL; read by signal handlers */

  lf_link lent, returned;   /* borrowed strings (borrow.c); its lock */
  atomic_bool any_returned; /* a hint */

  lf_buf scratch;         /* for dumping functions */
  lfb_slot *slots;        /* LFB_SLOTS, or NULL: none is needed yet */
  lfb_key keys[LFB_KEYS]; /* by address; */
  uint32_t streams;       /* with keys, so far */
  uint64_t next_table;    /* last id given to a table (identity.c) */
  lfb_maker *makers;      /* up to LFB_MAKERS, a power of 2; */
  unsigned nmakers;       /* so many (closure.c) */
  uint64_t names;         /* counts changes of what has a name (names.c) */
  uint64_t modules;       /* where they lie (names.c) */
  bool additions;         /* there are some (addition.c) */
  bool untold;            /* a module has come that has not been told of */
  uint64_t start;         /* version of the lfb_start that was applied */
  size_t array_debt;      /* bytes of arrays the collector was not told of */
  lfb_holder holder;      /* of what runs outside of tasks */
  lfb_closer closers[LFB_CLOSERS]; /* NULL behind the last */
  lf_buf plain; /* for packing what needs no packer (shared.c) */
};

#define LFB_NEWS UINT32_MAX /* no process's generation */

/* Any thread, after something has been left for the interpreter: its next
 * lfb_poll sees to it. */
static inline void lfb_note_news(lfb_state *S) {
  atomic_store(&S->news, LFB_NEWS);
}

/* Tables in the registry, at the address of these. */
typedef enum {
  LFB_REF_SLOTS,     /* index -> closure, weak */
  LFB_REF_NAMES,     /* object -> name, weak keys */
  LFB_REF_NAMED,     /* name -> object, weak values */
  LFB_REF_MODULES,   /* name -> module as it was looked at, weak values */
  LFB_REF_ORIGINALS, /* object of the standard libraries -> true, weak keys */
  LFB_REF_BY_NAME,   /* name -> object of the standard libraries */
  LFB_REF_STANDARD,  /* name of a standard global -> its value */
  LFB_REF_ADDITIONS, /* name -> paths of what it is in libraries (addition.c) */
  LFB_REF_IDS,       /* table -> identity, weak keys */
  LFB_REF_BY_ID,     /* identity -> table, weak values */
  LFB_REF_VERSIONS,  /* class -> hash of its description, weak keys */
  LFB_REF_HANDLES,   /* pool -> its executor object, weak values; library and
                        C function the same */
  LFB_REF_CALLBACKS, /* callback -> {future, function} */
  LFB_REF_LOOP,      /* a parallel loop's function and options (chunk.c) */
  LFB_REF_DRIVERS,   /* scripts/drivers.lua */
  LFB_REF_MODULE,    /* what require "lfut" gives */
  LFB_REF_BORROWED,  /* borrow -> string */
  LFB_REF_SNAPSHOT,  /* in a forked worker: number -> table (reach.h) */
  LFB_REF_UNASKED,   /* what lfut.on_unasked has been given; false for nil */
  LFB_REF_LAST_ERROR, /* {error value, traceback} raised last */
  LFB_REF_COUNT,
} lfb_ref;

/* Pushes such a table. */
void lfb_push_ref(lua_State *L, lfb_ref ref);
void lfb_set_ref(lua_State *L, lfb_ref ref); /* pops it */

/* Makes it an empty one, weak in its keys ("k"), its values ("v") or not
 * (NULL). */
void lfb_new_ref(lua_State *L, lfb_ref ref, const char *mode);

/* Raises: the state is closed, and a finalizer of an object older than it has
 * called one of lfut's functions. */
_Noreturn void lfb_raise_closed(lua_State *L);

/* The state of the interpreter whose C function runs, also when it has been
 * closed; for what takes the place of standard functions. */
static inline lfb_state *lfb_state_of(lua_State *L) {
  return lua_touserdata(L, lua_upvalueindex(1));
}

/* The same. Raises when it has been closed. */
static inline lfb_state *lfb_self(lua_State *L) {
  lfb_state *S = lfb_state_of(L);
  if (!S->global)
    lfb_raise_closed(L);
  return S;
}

/* The state of an interpreter, found without an upvalue; NULL: it has none. */
lfb_state *lfb_state_find(lua_State *L);

/* Makes the state (owned by the registry, freed when L closes); 'global' NULL:
 * a program, which gets a global state of its own. Raises on lack of memory. */
lfb_state *lfb_state_new(lua_State *L, lfb_global *global, struct lf_vm *vm);

/* Has 'closer' called before the state is closed; once, however often it is
 * said. By the interpreter's own thread, on its C stack. */
void lfb_at_close(lfb_state *S, lfb_closer closer);

/* In a forked process, for forked.c: an identity and a global state of its own;
 * what belongs to the parent's is left as it is. False: no memory. */
bool lfb_state_renew(lfb_state *S);

/* Sets in the table at 'to' what is in the one at 'from', both counted from the
 * bottom. */
void lfb_copy_pairs(lua_State *L, int from, int to);

/* Registers 'funcs' in the table at the top, each with the state; those whose
 * names begin with LFB_STEP as steps. */
void lfb_setfuncs(lua_State *L, lfb_state *S, const luaL_Reg *funcs);

#endif
