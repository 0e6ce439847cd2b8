/* SPDX-License-Identifier: MIT
 *
 * What tasks in a worker process say of themselves, on its way to the program:
 * some times a second, however often they say something, and the last of it. */
#ifndef LF_PROCESS_SERVE_REPORT_H
#define LF_PROCESS_SERVE_REPORT_H

#include "runtime/process/serve_send.h"
#include "runtime/task/report.h"

void lf_serve_report_init(lf_serve *serve);

/* The task, which runs here, has reported something. Any thread. */
void lf_serve_report(lf_serve *serve, lf_task *task);

/* It ends: what has not been sent is, now. */
void lf_serve_report_last(lf_serve *serve, const lf_task *task);

#endif
