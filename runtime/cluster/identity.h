/* SPDX-License-Identifier: MIT
 *
 * Who is who in a cluster, and what all must have in common. */
#ifndef LF_CLUSTER_IDENTITY_H
#define LF_CLUSTER_IDENTITY_H

/* What the client and the members of a cluster must have in common. */
const char *lf_cluster_version(void);
void lf_cluster_set_version(const char *language);

/* msg->flag of a task: one of a broadcast; its beginning is to be told. */
enum { LF_TASK_EACH = 1, LF_TASK_TELL = 2 };

/* One that nobody else has: 32 hexadecimal digits. */
enum { LF_ID = 33 };
void lf_cluster_new_id(char id[LF_ID]);

#endif
