/* SPDX-License-Identifier: MIT
 *
 * See search.h. Where lfut was built is seen from where this code lies: in the
 * program, or in lfut.so, which libtool puts one folder deeper. */
#include "runtime/native/search.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_there(const char *folder, size_t n, const char *name, char *path,
                     size_t size) {
  size_t len = strlen(name);
  bool whole = len > 3 && strcmp(name + len - 3, ".so") == 0;
  int wanted = snprintf(path, size, "%.*s/%s%s", (int)n, folder, name,
                        whole ? "" : ".so");
  return wanted > 0 && (size_t)wanted < size && access(path, R_OK) == 0;
}

static bool find_in_list(const char *folders, const char *name, char *path,
                         size_t size) {
  for (const char *at = folders; at; at = strchr(at, ':')) {
    at += *at == ':';
    size_t n = strcspn(at, ":");
    if (n > 0 && is_there(at, n, name, path, size))
      return true;
  }
  return false;
}

/* The folder in which this code lies, or "". */
static void find_self(char *folder, size_t size) {
  Dl_info info;
  char file[PATH_MAX];
  folder[0] = '\0';
  ssize_t n = readlink("/proc/self/exe", file, sizeof file - 1);
  file[n > 0 ? n : 0] = '\0';
  const char *slash = strrchr(file, '/');
  bool program = slash && strcmp(slash, "/lfut") == 0;
  if (!program && (!dladdr((void *)(uintptr_t)lf_plugin_find, &info) ||
                   !realpath(info.dli_fname, file)))
    return;
  slash = strrchr(file, '/');
  if (slash)
    snprintf(folder, size, "%.*s", (int)(slash - file), file);
}

/* In the folder 'plugins' beside it, which is the tree's: it has this file. */
static bool find_built(const char *name, char *path, size_t size) {
  char self[PATH_MAX], folder[PATH_MAX + 20];
  find_self(self, sizeof self);
  size_t n = strlen(self), libs = strlen("/.libs");
  if (n > libs && strcmp(self + n - libs, "/.libs") == 0)
    self[n - libs] = '\0';
  snprintf(folder, sizeof folder, "%s/plugins", self);
  return self[0] && is_there(folder, strlen(folder), name, path, size);
}

bool lf_plugin_find(const char *name, char *path, size_t size) {
  static const char installed[] = LF_PLUGINSDIR;
  const char *folders = getenv("LFUT_PLUGIN_PATH");
  if (strchr(name, '/'))
    return false;
  return find_in_list(folders ? folders : "", name, path, size) ||
         find_built(name, path, size) ||
         is_there(installed, strlen(installed), name, path, size);
}
