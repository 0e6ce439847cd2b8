/* SPDX-License-Identifier: MIT
 *
 * A growing run of bytes: the packed form of values, and the references to
 * counted objects that those bytes name. A buffer has one owner at a time,
 * who alone touches it; handing it over is the owner's business. */
#ifndef LF_BASE_BUF_H
#define LF_BASE_BUF_H

#include "runtime/base/base.h"

#include <string.h>

/* What bytes keep alive, in the order of where it is named. */
typedef struct {
  size_t n, cap;
  size_t lent; /* how many at the end are another buffer's, not dropped here */
  struct lf_ref {
    size_t at; /* where the bytes have the object's address, or LF_NOWHERE */
    void *object;
    void (*drop)(void *object);
  } v[];
} lf_refs;

#define LF_NOWHERE SIZE_MAX

typedef struct {
  unsigned char *data;
  size_t len;
  size_t cap : 62;
  size_t heap : 1;    /* data is ours to free, else the storage given to init */
  size_t foreign : 1; /* another process has written the bytes: they may be
                         anything but where the references say that there is
                         one */
  lf_refs *refs;      /* what the bytes keep alive; NULL when nothing */
} lf_buf;

/* An empty buffer over 'storage' (may be NULL, 0), which has to outlive it. */
void lf_buf_init(lf_buf *buf, void *storage, size_t size);

/* Frees the bytes and drops the references. */
void lf_buf_fini(lf_buf *buf);

/* Empties it; keeps the memory unless it is large. */
void lf_buf_reset(lf_buf *buf);

/* Makes room for 'more' bytes at the end. 0 or LF_ENOMEM. */
int lf_buf_grow(lf_buf *buf, size_t more);

/* Takes over the bytes and references of 'from', which is empty then. */
int lf_buf_move(lf_buf *to, lf_buf *from);

/* Records that the bytes name 'object' (by its address at offset 'at', if
 * anywhere): 'drop(object)' is called when they go. On LF_ENOMEM the caller
 * still owns its reference. */
int lf_buf_ref(lf_buf *buf, size_t at, void *object,
               void (*drop)(void *object));

/* Puts the bytes and references of 'from', which is empty then, at the end. */
int lf_buf_append(lf_buf *to, lf_buf *from);

/* Puts the bytes of 'from', from 'start' on, at the end, whose references stay
 * those of 'from': it has to outlive them, and nothing but more of this may be
 * put behind. 0 or LF_ENOMEM. */
int lf_buf_lend(lf_buf *to, const lf_buf *from, size_t start);

/* Forgets what is behind the first 'len' bytes. */
void lf_buf_cut(lf_buf *buf, size_t len);

/* Appends formatted text without its zero, cut at 1023 bytes. 0 or LF_ENOMEM.
 */
int lf_buf_print(lf_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Puts LF_NO_MEMORY (mem.h) in the place of all that is in it, if there is room
 * for that. */
void lf_buf_no_memory(lf_buf *buf);

/* A hash of the bytes: FNV-1a, 64 bit (Fowler, Noll, Vo), a word at a time. */
uint64_t lf_hash(const void *bytes, size_t len);

/* Makes room and returns where 'n' bytes are to be written, or NULL. */
static inline unsigned char *lf_buf_room(lf_buf *buf, size_t n) {
  if (n > buf->cap - buf->len && lf_buf_grow(buf, n) != 0)
    return NULL;
  unsigned char *at = buf->data + buf->len;
  buf->len += n;
  return at;
}

static inline int lf_buf_put(lf_buf *buf, const void *bytes, size_t n) {
  if (n == 0)
    return 0;
  unsigned char *at = lf_buf_room(buf, n);
  if (!at)
    return LF_ENOMEM;
  memcpy(at, bytes, n);
  return 0;
}

/* Without the zero at its end. */
static inline int lf_buf_put_text(lf_buf *buf, const char *text) {
  return lf_buf_put(buf, text, strlen(text));
}

#endif
