/* Exit files: one for each exited process, named by its id, until a client has recorded the
 * exit. */
#ifndef KL_SHIM_EXITS_H
#define KL_SHIM_EXITS_H

#include "shim/protocol.h"

/* Writes an exit file atomically. Returns -1 with errno. */
int exits_write(int dir, const struct state_entry *entry);

/* Removes the file of `id`; it may be missing. */
void exits_remove(int dir, const char *id);

#endif
