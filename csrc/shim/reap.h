/* What happens when a process ends. */
#ifndef KL_SHIM_REAP_H
#define KL_SHIM_REAP_H

#include "process.h"

/* Where exit files go. */
void reap_into(int exits);

/* Reaps every child that has ended: its last output into the log, its exit into a file, and only then the news. */
void reap_all(void);

/* Takes an exit as noted: removes its file and forgets the process. */
void reap_acknowledge(const char *id, struct process *process);

#endif
