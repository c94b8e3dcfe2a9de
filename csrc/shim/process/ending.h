/* The end of the pod: every process is killed, pause last, and reaped; then the shim exits, or
 * executes its clean-up command. */
#ifndef KL_SHIM_ENDING_H
#define KL_SHIM_ENDING_H

#include "shim/conn.h"

/* The clean-up command, for an end that no client requested: argv ended by NULL, with the program
 * as a path, and the mount namespace to run it in. */
void ending_prepare(char **command, int mounts);

/* Begins the end. `conn` requested it and will be answered; NULL: the clean-up command is to
 * run. */
void ending_begin(struct conn *conn, uint32_t seq);

bool ending_begun(void);

/* A connection is being closed. */
void ending_drop(const struct conn *conn);

/* Milliseconds until ending_step must be called again without any event; -1: not at all. */
int ending_timeout(void);

/* Takes the next steps that are possible; does not return once every process is reaped. Does
 * nothing before ending_begin. */
void ending_step(void);

#endif
