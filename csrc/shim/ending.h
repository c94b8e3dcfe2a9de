/* The end of the pod: everything is killed, pause last, and reaped; then the shim leaves or becomes its clean-up command. */
#ifndef KL_SHIM_ENDING_H
#define KL_SHIM_ENDING_H

#include "conn.h"

/* What to become when the end was not asked for: a command line ended by NULL, its program as a path, and the mount namespace to run it in. */
void ending_prepare(char **command, int mounts);

/* Begins the end. `conn` has asked for it and will be told; NULL: nobody has, and the clean-up command is run. */
void ending_begin(struct conn *conn, uint32_t seq);

bool ending_begun(void);

/* A connection is going away. */
void ending_drop(const struct conn *conn);

/* Milliseconds until the next step is due whatever happens; -1: none is. */
int ending_timeout(void);

/* Goes as far as possible; does not return once everything has ended. Harmless before the end has begun. */
void ending_step(void);

#endif
