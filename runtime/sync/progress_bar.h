/* SPDX-License-Identifier: MIT
 *
 * A line that tells how far something is: on a terminal a bar, drawn again ten
 * times a second by the timers' thread; else lines, now and then. One at a
 * time (terminal.h). Any thread moves it. */
#ifndef LF_SYNC_PROGRESS_BAR_H
#define LF_SYNC_PROGRESS_BAR_H

#include "runtime/base/base.h"

#include <stdint.h>

typedef struct lf_bar lf_bar;

/* 'label' (may be NULL: none) is copied, without what a terminal would take for
 * more than text. NULL: no memory, or another bar is there already. */
lf_bar *lf_bar_new(const char *label, size_t len);

/* So much is done, of 'total', if that is known. */
void lf_bar_move(lf_bar *bar, uint64_t done, bool known, uint64_t total);

/* The last line stays. NULL is allowed. */
void lf_bar_end(lf_bar *bar);

/* --- For tests --- */

/* What a bar tells. */
typedef struct {
  const char *label; /* clean; "": none */
  uint64_t done, total;
  bool known;     /* 'total' is */
  bool over;      /* it is the last line */
  double seconds; /* since the beginning */
} lf_bar_state;

enum {
  LF_BAR_LABEL = 200, /* bytes of a label that are kept */
  LF_BAR_TEXT = 600,  /* and of a text at most, with its zero */
};

/* The text in so many columns, in which it fits; 0 columns: "". A line for a
 * file (columns < 0) has no bar in it. Returns its length. */
size_t lf_bar_text(const lf_bar_state *state, int columns, bool colour,
                   char text[LF_BAR_TEXT]);

/* The label without what is no text; with a zero. Returns its columns. */
int lf_bar_clean(const char *label, size_t len, char clean[LF_BAR_LABEL + 1]);

#endif
