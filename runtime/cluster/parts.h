/* SPDX-License-Identifier: MIT
 *
 * Large messages: they are put into the server by themselves, in parts that are
 * not too large for one value, fields of lfut:parts:CLIENT, and what names
 * these goes in their place. Who receives that fetches them, one after the
 * other.
 *
 * So what is large does not go through the server's functions, whose Lua looks
 * at each byte of each string: five strings of an entry take 5 ns a byte, so a
 * way more there and back is cheaper from some kilobytes on. */
#ifndef LF_CLUSTER_PARTS_H
#define LF_CLUSTER_PARTS_H

#include "runtime/base/buf.h"
#include "runtime/cluster/redis.h"

enum {
  LF_LARGE = LF_LIMIT(16 << 10, 1 << 10), /* bytes; what has more goes so */
  LF_PART = LF_LIMIT(32 << 20, 4 << 10),  /* at most */
};

/* Puts a task's bytes, of the client's, into the server, and what names them
 * into 'name', which is empty; with the note, a text, for who gets that. A full
 * server refuses them, and the name. LF_ENOMEM. */
int lf_parts_put(lf_redis *redis, const char *client, const void *bytes,
                 size_t len, const lf_buf *note, lf_buf *name);

/* The same for results, which are taken also when it is full. */
int lf_parts_put_result(lf_redis *redis, const char *client, const void *bytes,
                        size_t len, lf_buf *name);

/* Are these bytes such a name? The text of its note, which stands in it. */
bool lf_parts_is_name(const void *bytes, size_t len);
const char *lf_parts_note(const void *bytes, size_t len, size_t *note_len);

/* What is named is not wanted any more. */
void lf_parts_drop(lf_redis *redis, const char *client, const void *name,
                   size_t len);

/* Fetches what is named, and then removes it there: calls 'done' with all of
 * it, or NULL: it is not there, or the connection is lost; to be freed by who
 * is called (lf_buf_fini). LF_ENOMEM: it will not be called. */
typedef void lf_parts_done(void *user, lf_buf *all);
int lf_parts_fetch(lf_redis *redis, const char *client, const void *name,
                   size_t len, lf_parts_done *done, void *user);

#endif
