/* clang-format off */
/* SPDX-License-Identifier: MIT
 *
 * What the Redis server of a cluster does for lfut: functions of its own
 * (scripts/cluster.lua), each of which is one step for all others. Whoever
 * connects loads them.
 *
 * Keys of the database:
 *
 *   lfut:tasks, lfut:tasks:N   streams of entries, of priority 0 and N: the
 *                              client's id, the numbers of the tasks in it, and
 *                              these as messages. Group 'members'; a consumer
 *                              is a member
 *   lfut:tasks:of:ID           the same, for one member alone
 *   lfut:levels                the priorities but 0
 *   lfut:members, lfut:clients ids by the time until which they count as alive
 *   lfut:member:ID             host, pid, workers
 *   lfut:workers               workers of each member
 *   lfut:queued                entries of each client that nobody has taken
 *   lfut:idle                  members that wait for an entry, once for each
 *   lfut:inbox:ID              what a member is to do
 *   lfut:client:ID             how the client's workers start
 *   lfut:results:ID            what has become of the client's tasks
 *   lfut:code:ID               the client's functions, by their number, loops
 *                              (l and that), how its workers start (n and that)
 *   lfut:parts:ID              large messages, by themselves (parts.h)
 *   lfut:cancelled:ID          numbers of tasks that nobody is to begin
 *   lfut:module:ID             a module, for the worker that waits for it
 *   lfut:version, lfut:counts  who may join; statistics
 *
 * An inbox and results are streams, too, whose reader cuts off what has come
 * through. In an inbox:
 *
 *   T entry stream client cancelled \n messages   tasks
 *   S client task reason \n                       is to stop
 *   A client task question c \n                   cancel it, if it has not begun
 *   A client task question l \n                   has it begun?
 *   G client \n                                   has gone
 *   Q \n                                          leave
 *
 * Among results:
 *
 *   R host \n messages                            have ended, or reported
 *   L pid host \n tasks                           were lost
 *   B host \n text                                cannot run
 *   A question value \n                           the answer: 1: yes
 *   M id name \n                                  a module is wanted
 *   N task \n                                     has begun
 *   W workers \n                                  so many are there
 *
 * Nothing of it is left when the last member and the last client have gone. */
/* clang-format on */
#ifndef LF_CLUSTER_FUNCTIONS_H
#define LF_CLUSTER_FUNCTIONS_H

#include <stddef.h>

extern const char *lf_cluster_functions;
extern size_t lf_cluster_functions_len;

/* Their text, which stays; before anything is connected. */
void lf_functions_set(const char *text, size_t len);

#define LF_FUNCTION(name) "lfut1_" name

#endif
