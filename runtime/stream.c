/* SPDX-License-Identifier: MIT
 *
 * See stream.h. A position is never at the very end of a slab, which would be
 * the beginning of another. */
#include "stream.h"

#include "arena.h"

#include <string.h>

/* At the beginning of a slab. */
typedef struct {
  lf_position next; /* slab, or 0 */
} link;

enum { HEAD = 64, TAIL = 8 };

static lf_position slab_of(lf_position at) {
  return at & ~(lf_slab_size() - 1);
}

static link *link_of(lf_position at) {
  lf_position slab = slab_of(at);
  if (!lf_arena_touch(slab, 1))
    lf_panic(__FILE__, __LINE__, "cannot touch shared memory");
  return lf_arena_at(slab);
}

/* Bytes from there to the end of the slab. */
static size_t left(lf_position at) {
  return slab_of(at) + lf_slab_size() - TAIL - at;
}

lf_position lf_stream_begin(lf_shared *object) {
  lf_position slab = lf_slab_claim(object);
  if (!slab)
    return 0;
  link_of(slab)->next = 0;
  return slab + HEAD;
}

/* The beginning of the slab behind; 0: there is none to be had. */
static lf_position next_slab(lf_shared *object, lf_position at) {
  lf_position next = link_of(at)->next;
  if (next) {
    link_of(next);
    return next + HEAD;
  }
  next = lf_stream_begin(object);
  if (next)
    link_of(at)->next = slab_of(next);
  return next;
}

bool lf_stream_write(lf_shared *object, lf_position *at, const void *bytes,
                     size_t n) {
  const char *from = bytes;
  lf_position p = *at;
  link_of(p);
  while (n > 0) {
    size_t room = left(p), part = n < room ? n : room;
    if (room == 0) {
      p = next_slab(object, p);
      if (!p)
        return false;
      continue;
    }
    memcpy(lf_arena_at(p), from, part);
    from += part;
    p += part;
    n -= part;
  }
  *at = p;
  return true;
}

void lf_stream_read(lf_position *at, void *bytes, size_t n) {
  char *to = bytes;
  lf_position p = *at;
  link_of(p);
  while (n > 0) {
    size_t there = left(p), part = n < there ? n : there;
    if (there == 0) {
      p = link_of(p)->next + HEAD;
      link_of(p);
      continue;
    }
    if (to) {
      memcpy(to, lf_arena_at(p), part);
      to += part;
    }
    p += part;
    n -= part;
  }
  *at = p;
}

int lf_stream_append(lf_position *at, lf_buf *to, uint64_t n) {
  unsigned char *bytes = n > 0 ? lf_buf_room(to, n) : NULL;
  if (n > 0 && !bytes)
    return LF_ENOMEM;
  if (n > 0)
    lf_stream_read(at, bytes, n);
  return 0;
}

void lf_stream_leave(lf_position from, lf_position to, lf_position end) {
  lf_position slab = slab_of(from);
  while (slab != slab_of(to)) {
    lf_position next = link_of(slab)->next;
    link *last = link_of(end);
    if (last->next) {
      lf_slab_free(slab);
    } else {
      link_of(slab)->next = 0;
      last->next = slab;
    }
    slab = next;
  }
}

void lf_stream_cut(lf_position end) {
  lf_position slab = link_of(end)->next;
  link_of(end)->next = 0;
  while (slab) {
    lf_position next = link_of(slab)->next;
    lf_slab_free(slab);
    slab = next;
  }
}

lf_position lf_stream_rewind(lf_position at) {
  return slab_of(at) + HEAD;
}
