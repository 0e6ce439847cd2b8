/* SPDX-License-Identifier: MIT
 *
 * A connection to a Redis server, by hiredis: commands are put into a buffer,
 * written when there is room, and answered in their order by calling who has
 * sent them. Opening one blocks; nothing else does. A thread at a time uses a
 * connection. */
#ifndef LF_CLUSTER_REDIS_H
#define LF_CLUSTER_REDIS_H

#include "runtime/cluster/url.h"

#include <hiredis/hiredis.h>

typedef struct lf_redis lf_redis;

/* Who has sent a command gets the reply, which is the connection's, or NULL: it
 * has been lost, and nobody knows whether the command was carried out. */
typedef void lf_redis_reply(void *user, const redisReply *reply);

/* Connects, within so many seconds, and sees to it that the server is one that
 * a cluster can have: version 7, a password unless it listens on this machine
 * alone, our functions. NULL: 'why' tells, without the password. */
lf_redis *lf_redis_open(const lf_url *url, double timeout, char *why,
                        size_t size);

/* Those who still wait for replies are told that they will get none. NULL: does
 * nothing. */
void lf_redis_close(lf_redis *redis);

/* One argument of a command. */
typedef struct {
  const void *bytes;
  size_t len;
} lf_arg;

lf_arg lf_arg_text(const char *text); /* which has to stay */

/* A number as an argument: its digits are in 'digits'. */
typedef char lf_digits[24];
lf_arg lf_arg_int(lf_digits digits, int64_t n);

/* Puts a command into the buffer; 'reply' NULL: nobody wants to know. 0 or
 * LF_ENOMEM. */
int lf_redis_send(lf_redis *redis, const lf_arg *args, int n,
                  lf_redis_reply *reply, void *user);

/* Writes what can be written, reads and answers what has come. False: the
 * connection is lost. */
bool lf_redis_flush(lf_redis *redis);
bool lf_redis_receive(lf_redis *redis);

/* For poll: the descriptor; is there something left to write? */
int lf_redis_fd(const lf_redis *redis);
bool lf_redis_is_full(const lf_redis *redis);

bool lf_redis_is_lost(const lf_redis *redis);

/* Why it was lost. */
const char *lf_redis_error(const lf_redis *redis);

/* A command, and its reply (the caller's, freeReplyObject), for connections on
 * which nothing else is on its way; waits. NULL: lost. */
redisReply *lf_redis_ask(lf_redis *redis, const lf_arg *args, int n);

#endif
