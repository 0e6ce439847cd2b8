/* SPDX-License-Identifier: MIT
 *
 * Where a cluster's server is, as its users write it:
 *
 *   redis://[[user]:password@]host[:port][/db]
 *   unix:///path/to/socket[?db=N]
 *
 * Text only: nothing here asks for names or opens anything. Any thread; a
 * record belongs to one at a time. */
#ifndef LF_CLUSTER_URL_H
#define LF_CLUSTER_URL_H

#include "runtime/base/buf.h"

enum { LF_URL_PORT = 6379 }; /* where no other is named */

/* The texts are its own. */
typedef struct {
  char *host;            /* NULL: a socket; an IPv6 address has no brackets */
  int port;              /* 0: a socket */
  char *path;            /* of the socket, or NULL */
  char *user, *password; /* decoded; NULL: none */
  int db;
} lf_url;

/* Reads it. False: '*url' is empty, and 'why' one line that quotes the text
 * without its password, or LF_NO_MEMORY. */
bool lf_url_parse(lf_url *url, const char *text, char *why, size_t size);

/* Frees the texts, of which the password is wiped first; the record is empty
 * then. That may have been before. */
void lf_url_free(lf_url *url);

/* Appends it for people to read, without the password. 0 or LF_ENOMEM. */
int lf_url_show(const lf_url *url, lf_buf *out);

/* Appends it complete, so that parsing it gives the same. 0 or LF_ENOMEM. */
int lf_url_put(const lf_url *url, lf_buf *out);

/* Is it a socket or an address of this machine alone? Of names only "localhost"
 * is known to be. */
bool lf_url_is_local(const lf_url *url);

#endif
