/* SPDX-License-Identifier: MIT
 *
 * See identity.h. */
#include "runtime/cluster/identity.h"

#include "runtime/os/fork.h"

#include <inttypes.h>
#include <stdio.h>

static char version[128] = "lfut " PACKAGE_VERSION;

const char *lf_cluster_version(void) {
  return version;
}

void lf_cluster_set_version(const char *language) {
  snprintf(version, sizeof version, "lfut " PACKAGE_VERSION ", %s, %zu bit%s",
           language, 8 * sizeof(void *),
           __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "" : ", big endian");
}

void lf_cluster_new_id(char id[LF_ID]) {
  snprintf(id, LF_ID, "%016" PRIx64 "%016" PRIx64, lf_unique(), lf_unique());
}
