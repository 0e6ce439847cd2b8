/* SPDX-License-Identifier: MIT
 *
 * Commands by their arguments, as scripts describe them: what lfut.run and
 * lfut.Popen have in common. */
#ifndef LFB_RUN_SPAWNED_H
#define LFB_RUN_SPAWNED_H

#include "bindings/core/state.h"

#include <errno.h>
#include <sys/types.h>

#include "runtime/os/command.h"

enum { LFB_INPUT, LFB_OUTPUT, LFB_ERRORS, LFB_STREAMS };

typedef struct {
  lf_command command;
  bool runs, ended;        /* started and not waited for; has ended */
  int own[LFB_STREAMS];    /* our ends of pipes, which do not block, or -1 */
  int theirs[LFB_STREAMS]; /* until it has been started; or -1 */
} lfb_spawned;

void lfb_spawned_init(lfb_spawned *s);

/* Closes a descriptor, or all. */
void lfb_close_fd(int *fd);
void lfb_spawned_close(lfb_spawned *s);

/* Raises unless the table at 1 has the options alone, besides arguments. */
void lfb_check_command_keys(lua_State *L, const char *const names[]);

/* Fills in the line from the table at 1: arguments, "env", "cwd". What keeps
 * these stays on the stack. */
void lfb_push_command_line(lua_State *L, lf_command_line *line);

/* The text at the top, which has to be one for the system. */
const char *lfb_check_command_text(lua_State *L, const char *what);

/* Pushes the option of the table at 1 that says what a stream is, and returns
 * it; 'otherwise' if it is not given. Raises. */
const char *lfb_push_stream(lua_State *L, const char *option,
                            const char *otherwise);

/* The command's stream is a pipe, or what the option says: "inherit", "null",
 * or the name of a file. Raises. */
void lfb_spawned_pipe(lua_State *L, lfb_spawned *s, int stream);
void lfb_spawned_open(lua_State *L, lfb_spawned *s, int stream,
                      const char *how);

/* Raises. */
void lfb_spawned_start(lua_State *L, lfb_state *S, lfb_spawned *s,
                       lf_command_line *line);

/* Pushes {code =} or {signal =}, and room for two fields more. */
void lfb_push_status(lua_State *L, int status);

/* write(2) without the signal of a pipe that nobody reads. */
ssize_t lfb_write_quietly(int fd, const char *bytes, size_t n);

/* Is the result of a read(2) or write(2) that it may be tried later? */
static inline bool lfb_is_later(ssize_t r) {
  return r < 0 && (errno == EAGAIN || errno == EINTR);
}

#endif
