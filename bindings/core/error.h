/* SPDX-License-Identifier: MIT
 *
 * lfut's own errors: tables { kind =, message = } with one metatable, and the
 * one place where codes of the runtime become Lua errors. */
#ifndef LFB_CORE_ERROR_H
#define LFB_CORE_ERROR_H

#include "bindings/core/state.h"

/* Makes the metatable and registers it as lfut's field 'Error', by which it
 * travels. Expects the module table at the top. */
void lfb_error_open(lua_State *L, lfb_state *S);

/* Pushes a new error object; the message is formatted as by
 * lua_pushfstring. */
void lfb_push_error(lua_State *L, const char *kind, const char *format, ...);

/* Raises the value at the top, noting the worker's traceback that belongs to
 * it ('trace', may be NULL), for the program to print if nobody catches it. */
int lfb_raise(lua_State *L, const char *trace);

/* Pushes the WorkerLost that an LF_LOST's bytes describe; 'func' is what the
 * task ran. */
void lfb_push_lost(lua_State *L, const void *bytes, size_t len,
                   const char *func);

/* Pushes the error of a task that has been stopped, with its limits (may be
 * NULL), and what it is called if these do not say that. */
struct lf_limits;
void lfb_push_stopped(lua_State *L, lf_reason reason,
                      const struct lf_limits *limits, const char *label);

/* Raises "not enough memory". */
int lfb_raise_memory(lua_State *L);

/* Raises what a code of the runtime (LF_E...) means for 'pool'. */
int lfb_raise_code(lua_State *L, int err, lf_pool *pool);

/* If the value at 'idx' is the one raised last with a traceback: pushes that
 * and returns true. */
bool lfb_last_trace(lua_State *L, int idx);

/* Is the value at 'idx' one of lfut's errors? */
bool lfb_is_own_error(lua_State *L, int idx);

/* lfut.is_error(v [, kind]) */
int lfb_is_error(lua_State *L);

/* Raises if waiting for the task would never end: after a fork, it has stayed
 * in the other process. */
void lfb_refuse_foreign(lua_State *L, lf_task *task);

/* The kind of error of a pool whose workers cannot run. */
const char *lfb_broken_kind(lf_pool *pool);

#endif
