/* What happens when a process exits. */
#ifndef KL_SHIM_REAP_H
#define KL_SHIM_REAP_H

#include "process.h"

/* Sets the directory of exit files. */
void reap_set_exits_dir(int exits);

/* Reaps every child that has exited: its last output goes to the log and its exit to a file, and
 * only then are clients told. */
void reap_all(void);

/* A client has recorded the exit: removes its file, and the process from the table. */
void reap_acknowledge(const char *id, struct process *process);

#endif
