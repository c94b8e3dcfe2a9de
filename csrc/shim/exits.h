/* Exit files: one for each process that has ended, named by its id, until somebody has taken note of it. */
#ifndef KL_SHIM_EXITS_H
#define KL_SHIM_EXITS_H

#include "protocol.h"

/* Writes the record of an exit into the directory, whole or not at all. Returns -1 with errno. */
int exits_write(int dir, const struct state_entry *entry);

/* Removes the file of `id`; it may be missing. */
void exits_remove(int dir, const char *id);

#endif
