/* SPDX-License-Identifier: MIT
 *
 * Chunks of loops on their way between a program and a worker process. */
#ifndef LF_PROCESS_CHUNK_IO_H
#define LF_PROCESS_CHUNK_IO_H

#include "runtime/pool/loop.h"
#include "runtime/process/channel.h"

/* Sends a chunk's items with the message, which says what for. */
int lf_chunk_send(lf_channel *end, lf_msg *msg, const lf_chunk *chunk);

#endif
