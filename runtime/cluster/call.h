/* SPDX-License-Identifier: MIT
 *
 * What clients and members do alike at the server: calling its functions, and
 * reading a stream that is theirs. */
#ifndef LF_CLUSTER_CALL_H
#define LF_CLUSTER_CALL_H

#include "runtime/cluster/functions.h"
#include "runtime/cluster/redis.h"

/* As lf_redis_send and lf_redis_ask, of one of our functions. */
int lf_call_send(lf_redis *redis, const char *function, const lf_arg *args,
                 int n, lf_redis_reply *reply, void *user);
redisReply *lf_call_ask(lf_redis *redis, const char *function,
                        const lf_arg *args, int n);

/* Says that one of "clients" or "members" is there, and will be for so long.
 * Returns how many workers there are; -1: it is not known any more, or the
 * connection is lost. Waits. */
int lf_call_beat(lf_redis *redis, const char *who, const char *id,
                 int64_t lease_ms);

/* What a new one gets that is told why it cannot come in; true: it can. The
 * reply is freed. */
bool lf_call_is_let_in(redisReply *reply, char *why, size_t size);

/* Less than, equal to or greater than 0, as the stream's entry 'a' stands
 * before 'b', is the same, or comes after it. */
int lf_entry_compare(const char *a, const char *b);

/* The entries of a stream, one after the other; what has been dealt with is cut
 * off when the next are asked for, so that nothing is lost with a connection.
 */
typedef struct lf_reader {
  lf_redis *redis; /* on which nothing else waits */
  char key[80];
  char last[44]; /* the last one that was dealt with; "0": none */
  void (*take)(struct lf_reader *reader, const char *bytes, size_t len);
  void (*more)(struct lf_reader *reader); /* after some; may be NULL */
} lf_reader;

/* Reads on, from now on by this connection. */
void lf_reader_go_on(lf_reader *reader, lf_redis *redis);

#endif
