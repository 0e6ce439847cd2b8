/* SPDX-License-Identifier: MIT
 *
 * Tasks on their way between a program and a worker process, in either
 * direction: calls, chunks of loops, and what has become of them. Of what comes
 * in, the message in hand says it, and may say anything. */
#ifndef LF_PROCESS_TASK_IO_H
#define LF_PROCESS_TASK_IO_H

#include "runtime/pool/loop.h"
#include "runtime/process/channel.h"
#include "runtime/task/report.h"
#include "runtime/trace/tally.h"

/* Sends a chunk's items with the message, which says what for. */
int lf_chunk_send(lf_channel *end, lf_msg *msg, const lf_chunk *chunk);

/* What is sent of a call, or of a loop, without an owner. */
lf_payload lf_payload_call(lf_msg *msg, const lf_task *task);
lf_payload lf_payload_loop(lf_msg *msg, const lf_loop *loop);

/* It is known by this function (may be NULL). */
void lf_payload_name(lf_msg *msg, lf_payload *payload, lf_code *code);

/* The loop that comes (lf_loop_import). NULL: no memory. */
lf_loop *lf_loop_receive(lf_channel *end, lf_pool *pool, lf_chunk_done *done);

/* The task that comes, with a reference; of a chunk, the loop's runner. NULL:
 * no memory, or that cannot be. 'after' is whom a call comes after
 * (task/chain.h), or NULL; another one that was submitted has a place in the
 * pool, if places are limited. */
lf_task *lf_call_receive(lf_channel *end, lf_pool *pool, lf_task *after);
lf_task *lf_chunk_receive(lf_channel *end, lf_loop *loop);

/* What the task, known to the other side by that number, has reported, as an
 * LF_MSG_PROGRESS; and that comes. 0 or LF_ENOMEM. */
int lf_report_send(lf_channel *end, uint64_t id, const lf_report *report);
void lf_report_receive(const lf_channel *end, lf_task *task);

/* A chunk: 'first' and 'count' of the items whose bytes are moved from 'items'
 * (may be NULL) and start where 'starts' says, less 'base'. NULL: no memory, or
 * that cannot be. */
lf_chunk *lf_chunk_import(uint64_t first, uint64_t count, lf_buf *items,
                          const lf_buf *starts, size_t base);

/* What has become of the task comes: puts it there, and returns the state in
 * which the task is to be; one that cannot be means that it was cancelled. For
 * lack of memory it has failed with that. */
lf_state lf_task_receive_end(lf_channel *end, lf_task *task);

/* The message and what is sent with it (without an owner): what has become of
 * the chunk. */
lf_payload lf_chunk_end(lf_msg *msg, const lf_chunk *chunk);

/* What it has been stopped for, as the message says; LF_GO_ON: nothing. */
lf_reason lf_chunk_reason(const lf_msg *msg);

/* That comes. False: the chunk has not been run and will not be.
 * (chunk->dropped is under the lock of its loop, which looks at it all the
 * time.) */
bool lf_chunk_receive_end(lf_channel *end, lf_chunk *chunk);

/* The outcome that comes, of a task that was sent. Can it be that of this one?
 */
bool lf_outcome_is_of(const lf_channel *end, const lf_task *task);

/* The task has been stopped by who ran it, if the message says so. */
void lf_outcome_note_reason(const lf_channel *end, lf_task *task);

/* Starts the task, that has begun, or ended, where others look at its time. */
bool lf_task_start_far(lf_task *task);

/* Puts the outcome there, and how it ends into task->stage (LF_STAGE_FINISHED,
 * LF_STAGE_FAILED); returns the state in which it will be. */
lf_state lf_outcome_receive(lf_channel *end, lf_task *task);

/* Ends a task as its stage says, and drops the reference. Without the pool's
 * lock. */
void lf_outcome_end(lf_task *task);

/* The same of one that was lost with its worker: a chunk of a loop tells it
 * with the items. */
void lf_outcome_lose(lf_task *task, const lf_lost *lost, const char *within);

/* The same of one that nobody can run any more: why. */
void lf_outcome_break(lf_task *task, const char *why);

/* The chunk has failed without results, for lack of memory. */
void lf_chunk_no_memory(lf_chunk *chunk);

/* What has stopped the task, whatever its data is: its limits, with its name,
 * as the body of an outcome whose error is LF_HALTED. */
int lf_outcome_put_stopped(lf_buf *out, lf_task *task);

/* Before lf_outcome_receive: counts the task's run; '*ran': when it was, as far
 * as is known. */
void lf_outcome_count(const lf_channel *end, lf_task *task, lf_tallies *tallies,
                      lf_ran *ran);

/* What a run has taken, in the fields of a RESULT that has nothing else in
 * them; and back. */
void lf_times_put(lf_msg *msg, const lf_times *times);
lf_times lf_times_get(const lf_msg *msg);

#endif
