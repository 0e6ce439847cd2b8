/* SPDX-License-Identifier: MIT
 *
 * Messages that are too large for one value of the server: they are put there
 * in parts, fields of lfut:parts:CLIENT, and what names these goes in their
 * place. Who receives that fetches them, one after the other. */
#ifndef LF_CLUSTER_PARTS_H
#define LF_CLUSTER_PARTS_H

#include "runtime/base/buf.h"
#include "runtime/cluster/redis.h"

enum { LF_PART = LF_LIMIT(32 << 20, 4 << 10) }; /* bytes, at most */

/* Puts the bytes, of the client's, into the server, and what names them into
 * 'name', which is empty. LF_ENOMEM. */
int lf_parts_put(lf_redis *redis, const char *client, const void *bytes,
                 size_t len, lf_buf *name);

/* Are these bytes such a name? */
bool lf_parts_is_name(const void *bytes, size_t len);

/* Fetches what is named, and removes it there: calls 'done' with all of it, or
 * NULL: it is not there, or the connection is lost; to be freed by who is
 * called (lf_buf_fini). LF_ENOMEM: it will not be called. */
typedef void lf_parts_done(void *user, lf_buf *all);
int lf_parts_fetch(lf_redis *redis, const char *client, const void *name,
                   size_t len, lf_parts_done *done, void *user);

#endif
