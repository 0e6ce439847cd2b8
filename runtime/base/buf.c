/* SPDX-License-Identifier: MIT
 *
 * See buf.h. */
#include "runtime/base/buf.h"

#include "runtime/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { KEEP = LF_LIMIT(4096, 256) }; /* bytes that reset does not give back */

void lf_buf_init(lf_buf *buf, void *storage, size_t size) {
  *buf = (lf_buf){.data = storage, .cap = size};
}

static void drop_refs(lf_buf *buf) {
  lf_refs *refs = buf->refs;
  buf->refs = NULL;
  for (size_t i = 0; refs && i < refs->n - refs->lent; i++)
    refs->v[i].drop(refs->v[i].object);
  lf_free(refs);
}

void lf_buf_fini(lf_buf *buf) {
  if (buf->heap)
    lf_free(buf->data);
  buf->data = NULL;
  buf->len = buf->cap = 0;
  buf->heap = buf->foreign = false;
  if (buf->refs)
    drop_refs(buf);
}

void lf_buf_reset(lf_buf *buf) {
  if (buf->heap && buf->cap > KEEP)
    lf_buf_fini(buf);
  buf->len = 0;
  buf->foreign = false;
  if (buf->refs)
    drop_refs(buf);
}

int lf_buf_grow(lf_buf *buf, size_t more) {
  if (more > SIZE_MAX / 2 - buf->len)
    return LF_ENOMEM;
  size_t need = buf->len + more;
  size_t cap = buf->cap + buf->cap / 2;
  cap = cap < 64 ? 64 : cap;
  cap = cap < need ? need : cap;
  unsigned char *data = lf_realloc(buf->heap ? buf->data : NULL, cap);
  if (!data)
    return LF_ENOMEM;
  if (!buf->heap && buf->len)
    memcpy(data, buf->data, buf->len);
  buf->data = data;
  buf->cap = cap;
  buf->heap = true;
  return 0;
}

int lf_buf_move(lf_buf *to, lf_buf *from) {
  if (from->heap) {
    lf_buf_fini(to);
    to->data = from->data;
    to->len = from->len;
    to->cap = from->cap;
    to->heap = true;
  } else {
    to->len = 0;
    if (lf_buf_put(to, from->data, from->len) != 0)
      return LF_ENOMEM;
    if (to->refs)
      drop_refs(to);
  }
  to->refs = from->refs;
  to->foreign = from->foreign;
  *from = (lf_buf){0};
  return 0;
}

/* Makes room for 'more' references. */
static int grow_refs(lf_buf *buf, size_t more) {
  lf_refs *refs = buf->refs;
  size_t n = refs ? refs->n : 0;
  if (refs && n + more <= refs->cap)
    return 0;
  size_t cap = refs ? refs->cap * 2 : 4;
  cap = cap < n + more ? n + more : cap;
  refs = lf_realloc(refs, sizeof *refs + cap * sizeof refs->v[0]);
  if (!refs)
    return LF_ENOMEM;
  if (!buf->refs)
    refs->lent = 0;
  refs->n = n;
  refs->cap = cap;
  buf->refs = refs;
  return 0;
}

int lf_buf_ref(lf_buf *buf, size_t at, void *object,
               void (*drop)(void *object)) {
  if (grow_refs(buf, 1) != 0)
    return LF_ENOMEM;
  buf->refs->v[buf->refs->n++] = (struct lf_ref){at, object, drop};
  return 0;
}

int lf_buf_append(lf_buf *to, lf_buf *from) {
  size_t base = to->len, n = from->refs ? from->refs->n : 0;
  if ((n > 0 && grow_refs(to, n) != 0) ||
      lf_buf_put(to, from->data, from->len) != 0)
    return LF_ENOMEM;
  for (size_t i = 0; i < n; i++) {
    struct lf_ref *ref = &to->refs->v[to->refs->n++];
    *ref = from->refs->v[i];
    if (ref->at != LF_NOWHERE)
      ref->at += base;
  }
  lf_free(from->refs);
  from->refs = NULL;
  to->foreign = to->foreign || from->foreign;
  lf_buf_fini(from);
  return 0;
}

int lf_buf_lend(lf_buf *to, const lf_buf *from, size_t start) {
  size_t base = to->len - start, n = from->refs ? from->refs->n : 0;
  if ((n > 0 && grow_refs(to, n) != 0) ||
      lf_buf_put(to, from->data + start, from->len - start) != 0)
    return LF_ENOMEM;
  for (size_t i = 0; i < n; i++) {
    struct lf_ref *ref = &to->refs->v[to->refs->n++];
    *ref = from->refs->v[i];
    if (ref->at != LF_NOWHERE)
      ref->at += base;
    to->refs->lent++;
  }
  to->foreign = to->foreign || from->foreign;
  return 0;
}

void lf_buf_cut(lf_buf *buf, size_t len) {
  lf_refs *refs = buf->refs;
  buf->len = len;
  while (refs && refs->n > 0 && refs->v[refs->n - 1].at != LF_NOWHERE &&
         refs->v[refs->n - 1].at >= len) {
    refs->n--;
    refs->v[refs->n].drop(refs->v[refs->n].object);
  }
}

uint64_t lf_hash(const void *p, size_t len) {
  const unsigned char *bytes = p;
  uint64_t h = 0xcbf29ce484222325u ^ len, word;
  for (; len >= sizeof word; bytes += sizeof word, len -= sizeof word) {
    memcpy(&word, bytes, sizeof word);
    h = (h ^ word) * 0x100000001b3u;
    h ^= h >> 29;
  }
  for (; len > 0; bytes++, len--)
    h = (h ^ *bytes) * 0x100000001b3u;
  return h ^ (h >> 32);
}

void lf_buf_no_memory(lf_buf *b) {
  static const char text[] = LF_NO_MEMORY;
  lf_buf_reset(b);
  (void)lf_buf_put(b, text, sizeof text - 1);
}

int lf_buf_print(lf_buf *buf, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  size_t len = n < 0                     ? 0
               : (size_t)n < sizeof text ? (size_t)n
                                         : sizeof text - 1;
  return lf_buf_put(buf, text, len);
}
