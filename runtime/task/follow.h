/* SPDX-License-Identifier: MIT
 *
 * What is to be done when a task has ended, by the thread that has ended it,
 * but not within the call in which it learns of that: there it holds locks. It
 * is noted in a list of the thread's own, and done in the order of being noted
 * when the locks have been given back. What comes meanwhile is noted, too, so
 * that nothing recurses, however long a chain is. */
#ifndef LF_TASK_FOLLOW_H
#define LF_TASK_FOLLOW_H

/* Embedded in what it is about, which has to stay until it runs. */
typedef struct lf_follow {
  struct lf_follow *next;
  void (*run)(struct lf_follow *follow); /* may block and take locks */
} lf_follow;

/* The calling thread will run it. */
void lf_follow_note(lf_follow *follow);

/* Runs what the calling thread has noted, unless it is at that already. Without
 * locks. */
void lf_follow_run(void);

#endif
