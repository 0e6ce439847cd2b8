/* SPDX-License-Identifier: MIT
 *
 * How many processors there are for this process. */
#ifndef LF_OS_PROCESSORS_H
#define LF_OS_PROCESSORS_H

#include "runtime/base/base.h"

/* Those that it may use, by its affinity mask and the quotas of its cgroups (a
 * part of one counts as one): at least 1. */
int lf_cpu_count(void);

/* Those that it has for itself all of the time (a part of one does not count);
 * as it was when this was asked first. */
int lf_cpus_whole(void);

#endif
