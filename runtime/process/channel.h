/* SPDX-License-Identifier: MIT
 *
 * Messages between a program and a worker process, over the rings of ring.h. A
 * message has a body of bytes which may name objects by their address, like any
 * packed values; it says where, and what that is called on the other side.
 * Function code is sent once, before the first message that needs it, and is a
 * number from then on.
 *
 * One end each; a thread at a time uses an end. */
#ifndef LF_PROCESS_CHANNEL_H
#define LF_PROCESS_CHANNEL_H

#include "runtime/base/table.h"
#include "runtime/process/array_refs.h"
#include "runtime/process/ring.h"
#include "runtime/task/task.h"

typedef enum {
  LF_MSG_CODE = 1, /* id: the code's; body: label, bytes */
  LF_MSG_FORGET,   /* all code that was sent so far */
  LF_MSG_DROP,     /* body: arrays of which nothing is left (array_refs.h) */
  /* From the program. */
  LF_MSG_SETUP, /* body: for a worker that was not forked: see serve.h */
  LF_MSG_TASK,  /* id: its remainder by LF_SLOTS is the slot; flag: pinned;
                   body: arguments; tail: limits, if there are any; slot:
                   its code then, if it is a function's, for messages */
  LF_MSG_LOOP,  /* id: the loop's; body: its setup; tail, slot: as TASK */
  LF_MSG_CHUNK, /* id, flag: as TASK; a: first item, b: count, state: shareable;
                   body: items; tail: where each starts in the block, a size_t
                   each, c: and the block's slice. Of the loop that was sent
                   last */
  LF_MSG_DONE,  /* id: of a task or chunk submitted by the worker: as RESULT,
                   or CHUNK_DONE */
  LF_MSG_RESTED, /* id: of a chunk submitted by the worker: as REST */
  LF_MSG_STUCK,  /* id: its wait would never end; body: why */
  LF_MSG_GO,     /* the blocked worker may go on */
  LF_MSG_REPLY,  /* a: the answer to CANCEL, LOOK, ...; b: the question's */
  LF_MSG_NOTICE, /* body: how interpreters start from now on */
  LF_MSG_ASK,    /* id, flag: lf_reason: a task that runs is to stop */
  LF_MSG_STOP,   /* nothing more will come */
  /* From the worker. */
  LF_MSG_READY,      /* id: its pid */
  LF_MSG_BROKEN,     /* it cannot run; body: why */
  LF_MSG_RESULT,     /* id, state, error; body: as the task's data; tail: trace;
                        a: lf_reason */
  LF_MSG_CHUNK_DONE, /* id, a: items finished, b: ns, error; body: results;
                        tail: why; flag: see task_io.c */
  LF_MSG_SUBMIT, /* id, flag: lf_route; a task of its own, as TASK; slot: its
                    code; a: id of the task that it comes after, or 0 */
  LF_MSG_SUBMIT_CHUNK, /* as CHUNK */
  LF_MSG_BROADCAST,    /* as SUBMIT; a: how many are to come with this one */
  LF_MSG_BLOCK,
  LF_MSG_UNBLOCK,
  LF_MSG_WAIT,     /* id, flag: any; body: ids of tasks submitted; a: id of the
                      task on top of it, or 0; b: look whether it can end */
  LF_MSG_UNWAIT,   /* id */
  LF_MSG_REST,     /* id: of a chunk: it waits, for the first time */
  LF_MSG_PROGRESS, /* id; body: an lf_report's bytes */
  LF_MSG_STOPPED,  /* id, flag: lf_reason: one that is parked is to stop */
  LF_MSG_CANCEL,   /* id of a task submitted; b: the question's number; flag:
                      also if it runs */
  LF_MSG_LOOK,     /* id of a task submitted; b: the question's number */
  LF_MSG_ASK_PROGRESS, /* the same; the answer's body: as PROGRESS, or empty */
  LF_MSG_STATS,
  LF_MSG_RELEASE,  /* id: a task that the worker knows no more; a: how often it
                      was named to it */
  LF_MSG_SHUTDOWN, /* flag: cancel */
  LF_MSG_PROFILE,  /* body: for lf_profile_feed */
  LF_MSG_TRACE, /* a: the trace's number; id: thread and process, b: who calls
                   things so, and its parent, 32 bits each; body: for
                   lf_trace_feed */
  /* From a cluster's member, before RESULT and CHUNK_DONE. */
  LF_MSG_TOOK, /* id; a: when the run has begun, b: ns, c: the worker's pid and,
                  32 bits higher, number, slot: the member's pid */
  LF_MSG_KINDS, /* none */
} lf_msg_kind;

typedef struct {
  uint8_t kind, state, error, flag;
  uint32_t nrelocs, narrays;
  uint64_t id;
  uint64_t size, tail; /* bytes of body and tail */
  uint64_t slot, a, b, c;
} lf_msg;

/* A message on its way out, when the ring is full. The bytes of body and tail
 * belong to 'owner', which is dropped when they have been written. */
typedef struct {
  lf_link link;
  lf_buf head; /* message and relocations */
  const unsigned char *body, *tail;
  size_t body_len, tail_len, written;
  void *owner;
  void (*drop)(void *owner);
  lf_buf own; /* the body, if it was left to the parcel */
} lf_parcel;

/* How the ends agree on what bodies refer to. Futures: each task that both know
 * of has a number; what the program has numbered is even, what the worker has,
 * odd. */
typedef struct {
  /* The task's number, which is given to it if need be; 0: no memory. */
  uint64_t (*name)(void *user, lf_task *task);
  /* The task with the number, with a reference; NULL: none, or no memory. */
  lf_task *(*find)(void *user, uint64_t id);
  /* What stands for the pool in a body here, with a reference that 'drop' gives
   * back; what a body refers to by that 'drop' is the pool. */
  void *(*self)(void *user);
  void (*drop)(void *self);
} lf_names;

typedef struct {
  lf_ring *in, *out; /* or, over memory: */
  lf_buf *sink;
  const unsigned char *source;
  size_t left; /* of the source */
  const lf_names *names;
  void *user;               /* theirs */
  lf_annotate *annotate;    /* for lf_code_get */
  lf_array_refs array_refs; /* which arrays each has of the other */
  uint32_t owner; /* of the zones of a worker process (arena.h), or 0 */
  lf_link parcels;
  bool posted;      /* something was published; the user resets it */
  bool asked;       /* over memory: the other side asks for code that it has not
                       got, and is told of none */
  lf_table known;   /* code that the other side has */
  lf_table learned; /* code that it has sent: id -> lf_code *, a reference */
  struct lf_limits *limits; /* that have come last (task_io.c): a reference, or
                               NULL */
  lf_buf gone;              /* arrays that it is still to be told of */
  /* The message that is being read. */
  int piece;      /* which of head, relocations, body, tail; 4: it is whole */
  size_t got;     /* of that piece */
  bool no_memory; /* its body could not be kept */
  bool damaged;   /* it is none: nothing more is read */
  lf_msg msg;
  lf_buf relocs, body, tail;
  unsigned char small[128];
} lf_channel;

/* 'annotate' is for lf_code_get. */
void lf_channel_init(lf_channel *end, lf_ring *in, lf_ring *out,
                     const lf_names *names, void *user, lf_annotate *annotate);

/* The same over memory, which goes farther than a ring: what is sent is put
 * behind what is in end->sink, all of it at once; what is received is what the
 * caller has given to lf_channel_read. */
void lf_channel_init_memory(lf_channel *end, const lf_names *names, void *user,
                            lf_annotate *annotate);

/* Forgets which code the other side has, and what has been learnt, if that is
 * much: of an end that is asked, before a message is sent, and of one that
 * asks, before it looks what it lacks. */
void lf_channel_limit(lf_channel *end);

/* These bytes are received next, and have to stay until that has been done; all
 * of them were whole if lf_channel_is_read says so then. */
void lf_channel_read(lf_channel *end, const void *bytes, size_t len);
static inline bool lf_channel_is_read(const lf_channel *end) {
  return !end->damaged && end->left == 0;
}

/* The head of the next message in such bytes, which are stepped over. False:
 * there is none. */
bool lf_channel_peek(const void **bytes, size_t *len, lf_msg *msg);

/* Visits the code that is named in such bytes and not known at this end.
 * 'visit' says false when it has had enough. */
void lf_channel_lacks(const lf_channel *end, const void *bytes, size_t len,
                      bool (*visit)(void *arg, uint64_t id), void *arg);

/* Code that is sent in other ways: whether the other side knows it, or the
 * bytes of an LF_MSG_CODE; and learning it from those, by its number. */
bool lf_channel_knows(const lf_channel *end, const lf_code *code);
int lf_channel_put_code(lf_channel *end, lf_code *code, lf_buf *out);
bool lf_channel_learn(lf_channel *end, uint64_t id, const void *bytes,
                      size_t len);

/* No code is known at either end any more. */
void lf_channel_forget(lf_channel *end);

/* The other process, if it is a worker, has ended. */
void lf_channel_fini(lf_channel *end);

/* Sends the message with the bytes from 'from' to 'to' of 'body' (may be NULL)
 * and the tail. What does not fit is kept as a parcel, for which 'owner', whose
 * bytes these are, is kept until 'drop(owner)'; if everything has been written,
 * 'drop' is called at once (may be NULL: the bytes are copied, then). 'code'
 * (may be NULL) is what the message names by its slot: the other side learns it
 * before. Does not block. LF_ENOMEM: nothing was sent or dropped. */
typedef struct {
  const lf_buf *body;
  size_t from, to;
  const void *tail;
  size_t tail_len;
  void *owner;
  void (*drop)(void *owner);
  lf_code *code;
} lf_payload;

int lf_channel_send(lf_channel *end, lf_msg *msg, const lf_payload *payload);

/* Writes parcels as far as there is room; true when none is left. */
bool lf_channel_flush(lf_channel *end);

/* The parcel that waits for this owner's bytes to be written, or NULL. */
lf_parcel *lf_channel_parcel(lf_channel *end, const void *owner);

/* Throws away all: there is nobody to read them. */
void lf_channel_drop_parcels(lf_channel *end);

/* Throws away a parcel of which nothing has been written. */
void lf_parcel_withdraw(lf_channel *end, lf_parcel *parcel);

/* Tells the other side of which of its arrays nothing is left here. */
void lf_channel_tell_dropped(lf_channel *end);

/* Reads the next whole message: true when it is in end->msg, body (with its
 * references) and tail, until the next call. What the other side writes is not
 * trusted: false for ever when it cannot be a message (end->damaged); what a
 * message says is for who deals with it to check. */
bool lf_channel_receive(lf_channel *end);

/* Code that has been received, borrowed; NULL if there is none by that id. */
lf_code *lf_channel_code(const lf_channel *end, uint64_t id);

/* For tasks: the body and tail as the task's data and trace, from or to. */
lf_payload lf_payload_task(const lf_task *task);

#endif
