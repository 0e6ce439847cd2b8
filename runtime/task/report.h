/* SPDX-License-Identifier: MIT
 *
 * What a task says of itself while it runs: how much of it is done, and a few
 * words. Any thread. */
#ifndef LF_TASK_REPORT_H
#define LF_TASK_REPORT_H

#include "runtime/task/task.h"

#include <sys/types.h>

enum { LF_REPORT_TEXT = 1000 }; /* bytes: of a longer text the beginning */

/* As it is told and read. */
typedef struct {
  uint64_t number; /* of what was read: another report's is another */
  double fraction; /* from 0 to 1 */
  bool has_text;
  size_t len;
  char text[LF_REPORT_TEXT];
} lf_report;

/* What is said so; 'text' NULL: without words. A fraction outside is cut to 0
 * or 1; NaN is 0. A text is cut between two characters of UTF-8. */
void lf_report_init(lf_report *report, double fraction, const char *text,
                    size_t len);

/* The task has said so, in place of what it has said before. LF_ENOMEM: that
 * stays. */
int lf_task_report(lf_task *task, const lf_report *report);

/* What it has said last; false: nothing. */
bool lf_task_progress(lf_task *task, lf_report *report);

/* The report as bytes, at the end of 'out'; and out of them. False: they are
 * none. */
int lf_report_put(lf_buf *out, const lf_report *report);
bool lf_report_get(const lf_buf *bytes, lf_report *report);

/* The number of the last one of any task of this process. */
uint64_t lf_reports(void);

static inline bool lf_task_has_note(const lf_task *task) {
  int64_t told = atomic_load_explicit(&task->told, memory_order_relaxed);
  return told && !(told & 1);
}

/* How its run was in another process, for those who have sent it from a third:
 * kept with what it has said. LF_ENOMEM: it is not. False: nothing is known. */
typedef struct {
  int64_t begun, ns; /* by this machine's clock */
  pid_t process;
  int worker; /* its number in its pool */
} lf_ran;

int lf_task_note_run(lf_task *task, const lf_ran *ran);
bool lf_task_ran(lf_task *task, lf_ran *ran);

/* It has said nothing, as it is run again, or nobody is left to ask. */
void lf_task_unreport(lf_task *task);

#endif
