/* The end of the pod: every process is killed, pause last, and reaped; then the shim exits, or
 * becomes the care command. */
#ifndef KL_SHIM_ENDING_H
#define KL_SHIM_ENDING_H

#include "shim/conn.h"

/* Begins the end. `conn` requested it and will be answered; NULL: the care command is to run. */
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
