/* SPDX-License-Identifier: MIT
 *
 * Events as they are in rings, in the spool, and on their way from a worker
 * process to its program. For this folder. */
#ifndef LF_TRACE_EVENTS_H
#define LF_TRACE_EVENTS_H

#include "runtime/trace/tally.h"

/* 32 bytes. NAME, LINE and PROCESS have a text behind them, of so many events.
 */
typedef struct {
  int64_t at, ns; /* COUNTER: ns is its value */
  uint64_t flow;  /* COUNTER: which, a name's number */
  uint32_t name;
  uint8_t kind, phase;
  char step;
} lf_event;

enum {
  LF_EVENT_SLICE = 1,
  LF_EVENT_COUNTER,
  LF_EVENT_NAME,    /* a number, and what it means to who has sent it */
  LF_EVENT_LINE,    /* what the line is called, */
  LF_EVENT_PROCESS, /* and its process */
};

enum {
  LF_PIECE_MOST = 1024, /* events that are handed on at once */
  LF_TEXT_EVENTS = LF_FUNCTION_NAME / sizeof(lf_event),
};
_Static_assert(LF_FUNCTION_NAME % sizeof(lf_event) == 0, "whole events");

typedef struct {
  lf_event head;
  char text[LF_FUNCTION_NAME]; /* as JSON has it */
} lf_text_event;
_Static_assert(sizeof(lf_text_event) == (1 + LF_TEXT_EVENTS) * sizeof(lf_event),
               "whole events");

#endif
