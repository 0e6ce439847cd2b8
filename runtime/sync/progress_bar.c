/* SPDX-License-Identifier: MIT
 *
 * See progress_bar.h. The text is the longest of several that fits: first the
 * graphic shrinks, then the rate, the time, the count and the label go. */
#include "runtime/sync/progress_bar.h"

#include "runtime/base/mem.h"
#include "runtime/os/clock.h"
#include "runtime/os/timer.h"
#include "runtime/sync/terminal.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_NS INT64_C(100000000)
#define SECOND_NS INT64_C(1000000000)

enum {
  FIRST_LINE = 3, /* seconds, in a file, */
  LATER_LINE = 10,
  LEAST_CELLS = 5, /* of the graphic, */
  MOST_CELLS = 40,
  MOST_SECONDS = 359999, /* 99:59:59 */
};

struct lf_bar {
  lf_timer timer;
  _Atomic int refs; /* of who has it, and of the timer */
  atomic_bool over;
  _Atomic uint64_t done, total;
  _Atomic bool known;
  bool colour, terminal;
  uint32_t taken;
  int64_t since;
  char label[LF_BAR_LABEL + 1];
};

/* --- Labels --- */

/* The code point at the beginning of the bytes, and how many these are; -1: it
 * is none. */
static int32_t decode(const unsigned char *at, size_t left, size_t *n) {
  static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  *n = at[0] < 0x80   ? 1
       : at[0] < 0xC2 ? 0
       : at[0] < 0xE0 ? 2
       : at[0] < 0xF0 ? 3
       : at[0] < 0xF5 ? 4
                      : 0;
  if (*n == 0 || *n > left)
    return *n = 1, -1;
  int32_t c = *n == 1 ? at[0] : at[0] & (0x7F >> *n);
  for (size_t i = 1; i < *n; i++) {
    if ((at[i] & 0xC0) != 0x80)
      return *n = 1, -1;
    c = c << 6 | (at[i] & 0x3F);
  }
  bool none = c < least[*n] || (c >= 0xD800 && c < 0xE000) || c > 0x10FFFF;
  return none ? *n = 1, -1 : c;
}

/* How many columns it takes at most. */
static int columns_of(int32_t c) {
  return c < 0x1100 ? 1 : 2;
}

/* Is it something else than a character that is seen? */
static bool is_control(int32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || (c >= 0x200B && c < 0x2070) ||
         c == 0xFEFF;
}

int lf_bar_clean(const char *label, size_t len, char clean[LF_BAR_LABEL + 1]) {
  const unsigned char *at = (const unsigned char *)label;
  size_t to = 0, n;
  int columns = 0;
  for (; len > 0; at += n, len -= n) {
    int32_t c = decode(at, len, &n);
    bool bad = is_control(c);
    if (to + (bad ? 1 : n) > LF_BAR_LABEL)
      break;
    if (bad)
      clean[to++] = '?';
    else
      memcpy(clean + to, at, n), to += n;
    columns += bad ? 1 : columns_of(c);
  }
  clean[to] = '\0';
  return columns;
}

/* Of a clean text, what fits; returns its bytes. */
static size_t cut(const char *text, int columns) {
  const unsigned char *at = (const unsigned char *)text;
  size_t left = strlen(text), n;
  for (; left > 0; at += n, left -= n) {
    columns -= columns_of(decode(at, left, &n));
    if (columns < 0)
      break;
  }
  return (size_t)(at - (const unsigned char *)text);
}

static int width(const char *text) {
  char clean[LF_BAR_LABEL + 1];
  return lf_bar_clean(text, strlen(text), clean);
}

/* --- The text --- */

typedef struct {
  char label[LF_BAR_LABEL + 3], share[8], count[48], rate[32], time[32];
} pieces;

static void put_time(char *out, size_t size, double seconds,
                     const char *words) {
  int s = seconds < MOST_SECONDS ? (int)(seconds + 0.5) : MOST_SECONDS;
  if (s < 3600)
    snprintf(out, size, "%d:%02d%s", s / 60, s % 60, words);
  else
    snprintf(out, size, "%d:%02d:%02d%s", s / 3600, s / 60 % 60, s % 60, words);
}

/* What has been reached is never said to be all as long as it is not. */
static int share_of(const lf_bar_state *s) {
  if (s->total == 0)
    return 100;
  int share = (int)(100.0 * (double)s->done / (double)s->total);
  return share < 100 || s->done >= s->total ? share : 99;
}

static void put_rate(const lf_bar_state *s, pieces *p) {
  double rate = (double)s->done / fmax(s->seconds, 1e-9);
  p->rate[0] = p->time[0] = '\0';
  if (s->done > 0)
    snprintf(p->rate, sizeof p->rate, "%.*f/s",
             rate >= 10  ? 0
             : rate >= 1 ? 1
                         : 2,
             fmin(rate, 1e12));
  if (s->over)
    put_time(p->time, sizeof p->time, s->seconds, "");
  else if (s->known && s->done > 0)
    put_time(p->time, sizeof p->time, (double)(s->total - s->done) / rate,
             " left");
}

static pieces pieces_of(const lf_bar_state *s) {
  pieces p = {.share = ""};
  if (s->label[0])
    snprintf(p.label, sizeof p.label, "%s: ", s->label);
  if (s->known) {
    snprintf(p.share, sizeof p.share, "%d%%", share_of(s));
    snprintf(p.count, sizeof p.count, "%" PRIu64 "/%" PRIu64, s->done,
             s->total);
  } else {
    snprintf(p.count, sizeof p.count, "%" PRIu64, s->done);
  }
  put_rate(s, &p);
  return p;
}

/* Puts a piece there, with a blank in front of it if there is something. */
static void add(char *text, const char *piece) {
  size_t n = strlen(text);
  if (piece[0])
    snprintf(text + n, LF_BAR_TEXT - n, "%s%s", n > 0 ? " " : "", piece);
}

/* Without label and graphic: the first 'level' of what can go is left out. */
static void put_numbers(const pieces *p, int level, char *text) {
  text[0] = '\0';
  add(text, p->share);
  if (level < 3 || !p->share[0])
    add(text, p->count);
  if (level < 1)
    add(text, p->rate);
  if (level < 2)
    add(text, p->time);
}

/* Where the graphic is to be: behind the share. */
static void insert_graphic(const lf_bar_state *s, const pieces *p, int cells,
                           bool colour, char *text) {
  char rest[LF_BAR_TEXT];
  int full = s->total > 0
                 ? (int)((double)cells * (double)s->done / (double)s->total)
                 : cells;
  char *at = text + strlen(p->share);
  strcpy(rest, at);
  at += sprintf(at, " [%s", colour ? "\033[32m" : "");
  for (int i = 0; i < cells; i++)
    *at++ = i < full ? '#' : '.';
  sprintf(at, "%s]%s", colour ? "\033[m" : "", rest);
}

/* Puts the label in front, as much of it as there is room for. */
static void insert_label(const pieces *p, int room, char *text) {
  size_t n = strlen(p->label);
  if (n == 0 || room < 3)
    return;
  if (width(p->label) > room)
    n = cut(p->label, room - 1);
  bool whole = n == strlen(p->label);
  size_t head = n + !whole, tail = strlen(text) + 1;
  if (head + tail > LF_BAR_TEXT)
    return;
  memmove(text + head, text, tail);
  memset(text, ' ', head);
  memcpy(text, p->label, n);
}

static void put_line(const lf_bar_state *s, const pieces *p, int columns,
                     bool colour, char *text) {
  int label = width(p->label), level = 0;
  for (; level <= 3; level++) {
    put_numbers(p, level, text);
    if (label + (int)strlen(text) <= columns || level == 3)
      break;
  }
  int room = columns - (int)strlen(text);
  if (room < 0) { /* a part of a number would be another one */
    text[0] = '\0';
    return;
  }
  int cells = room - label - 3;
  cells = cells < MOST_CELLS ? cells : MOST_CELLS;
  if (s->known && cells >= LEAST_CELLS)
    insert_graphic(s, p, cells, colour, text);
  insert_label(p, room, text);
}

size_t lf_bar_text(const lf_bar_state *s, int columns, bool colour,
                   char text[LF_BAR_TEXT]) {
  pieces p = pieces_of(s);
  if (columns >= 0) {
    put_line(s, &p, columns, colour, text);
  } else {
    put_numbers(&p, 0, text);
    insert_label(&p, LF_BAR_LABEL + 2, text);
  }
  return strlen(text);
}

/* --- Drawing --- */

/* In the last column the cursor would hang in the air; and the "^C" that a
 * terminal shows would have it go on in a new line. */
static int columns(void) {
  enum { WIDE = 40 };
  int all = lf_terminal_columns();
  return all < WIDE ? all - 1 : all - 3;
}

static size_t text_of(const lf_bar *b, bool over, char *text) {
  lf_bar_state s = {.label = b->label,
                    .done = b->done,
                    .total = b->total,
                    .known = b->known,
                    .over = over,
                    .seconds = (double)(lf_now() - b->since) / 1e9};
  s.done = s.known && s.done > s.total ? s.total : s.done;
  return lf_bar_text(&s, b->terminal ? columns() : -1, b->colour, text);
}

static void draw(const lf_bar *b) {
  char text[LF_BAR_TEXT];
  lf_terminal_draw(b->taken, text, text_of(b, false, text));
}

static void unref(lf_bar *b) {
  if (atomic_fetch_sub(&b->refs, 1) == 1)
    lf_free(b);
}

/* When the next line is due; less often the longer it takes. */
static int64_t next_time(const lf_bar *b) {
  int64_t now = lf_now();
  if (b->terminal)
    return now + FRAME_NS;
  int64_t passed = now - b->since;
  return now + (passed > 20 * LATER_LINE * SECOND_NS ? passed / 20
                                                     : LATER_LINE * SECOND_NS);
}

/* The timer has a reference while it is set. If it cannot be set, the bar
 * stands still. */
static void set_timer(lf_bar *b, int64_t at) {
  atomic_fetch_add(&b->refs, 1);
  if (lf_timer_set(&b->timer, at) != 0 ||
      (b->over && lf_timer_unset(&b->timer)))
    unref(b);
}

/* On the timers' thread. */
static void on_time(lf_timer *timer) {
  lf_bar *b = lf_container_of(timer, lf_bar, timer);
  draw(b);
  if (!b->over)
    set_timer(b, next_time(b));
  unref(b);
}

static bool has_colour(void) {
  const char *no = getenv("NO_COLOR");
  return !(no && no[0]);
}

lf_bar *lf_bar_new(const char *label, size_t len) {
  lf_bar *b = lf_zalloc(sizeof *b);
  if (!b || !(b->taken = lf_terminal_take())) {
    lf_free(b);
    return NULL;
  }
  lf_timer_init(&b->timer, on_time);
  atomic_init(&b->refs, 1);
  b->since = lf_now();
  b->terminal = lf_terminal_is_one();
  b->colour = b->terminal && has_colour();
  lf_bar_clean(label ? label : "", label ? len : 0, b->label);
  set_timer(b, b->since + (b->terminal ? FRAME_NS : FIRST_LINE * SECOND_NS));
  return b;
}

void lf_bar_move(lf_bar *b, uint64_t done, bool known, uint64_t total) {
  b->total = total;
  b->known = known;
  b->done = done;
}

void lf_bar_end(lf_bar *b) {
  char text[LF_BAR_TEXT];
  if (!b)
    return;
  b->over = true;
  lf_terminal_leave(b->taken, text, text_of(b, true, text));
  if (lf_timer_unset(&b->timer))
    unref(b);
  unref(b);
}
