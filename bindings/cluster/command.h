/* SPDX-License-Identifier: MIT
 *
 * The command `lfut cluster up | join | status | down`. */
#ifndef LFB_CLUSTER_COMMAND_H
#define LFB_CLUSTER_COMMAND_H

/* The program's arguments, of which the first are its name and "cluster". In
 * the main thread; returns the status to exit with. Passwords are wiped out of
 * the arguments, which others can see. */
int lfb_cluster_command(int argc, char **argv);

#endif
