/* SPDX-License-Identifier: MIT
 *
 * See stream.h. A position is never at the very end of a slab, which would be
 * the beginning of another. */
#include "runtime/shm/stream.h"

#include "runtime/shm/arena.h"

#include <string.h>

/* At the beginning of a slab. A process may write nonsense over it, which
 * shows: then nobody can tell what follows. */
typedef struct {
  lf_position next; /* slab, or 0 */
  uint64_t check;
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

static uint64_t check_of(lf_position slab, lf_position next) {
  return (slab ^ next * 3 ^ 0x6c667574) * 0x9e3779b97f4a7c15u;
}

/* What follows the slab of the position. */
static lf_position next_of(lf_position at) {
  link *l = link_of(at);
  return l->check == check_of(slab_of(at), l->next) ? l->next : 0;
}

static void set_next(lf_position at, lf_position next) {
  link *l = link_of(at);
  l->next = next;
  l->check = check_of(slab_of(at), next);
}

/* Bytes from there to the end of the slab. */
static size_t left(lf_position at) {
  return slab_of(at) + lf_slab_size() - TAIL - at;
}

lf_position lf_stream_begin(lf_shared *object) {
  lf_position slab = lf_slab_claim(object);
  if (!slab)
    return 0;
  set_next(slab, 0);
  return slab + HEAD;
}

/* The beginning of the slab behind; 0: there is none to be had. */
static lf_position next_slab(lf_shared *object, lf_position at) {
  lf_position next = next_of(at);
  if (next) {
    link_of(next);
    return next + HEAD;
  }
  next = lf_stream_begin(object);
  if (next)
    set_next(at, slab_of(next));
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

bool lf_stream_read(lf_position *at, void *bytes, size_t n) {
  char *to = bytes;
  lf_position p = *at;
  link_of(p);
  while (n > 0) {
    size_t there = left(p), part = n < there ? n : there;
    if (there == 0) {
      lf_position next = next_of(p);
      if (!next)
        break;
      p = next + HEAD;
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
  if (to && n > 0)
    memset(to, 0, n);
  *at = p;
  return n == 0;
}

int lf_stream_append(lf_position *at, lf_buf *to, uint64_t n) {
  unsigned char *bytes = n > 0 ? lf_buf_room(to, n) : NULL;
  if (n > 0 && !bytes)
    return LF_ENOMEM;
  return n == 0 || lf_stream_read(at, bytes, n) ? 0 : LF_EDAMAGED;
}

void lf_stream_leave(lf_position from, lf_position to, lf_position end) {
  lf_position slab = slab_of(from);
  while (slab && slab != slab_of(to)) {
    lf_position next = next_of(slab);
    if (next_of(end)) {
      lf_slab_free(slab);
    } else {
      set_next(slab, 0);
      set_next(end, slab);
    }
    slab = next;
  }
}

void lf_stream_cut(lf_position end) {
  lf_position slab = next_of(end);
  set_next(end, 0);
  while (slab) {
    lf_position next = next_of(slab);
    lf_slab_free(slab);
    slab = next;
  }
}

void lf_stream_free(lf_position at) {
  lf_stream_cut(at);
  lf_slab_free(slab_of(at));
}

lf_position lf_stream_rewind(lf_position at) {
  return slab_of(at) + HEAD;
}
