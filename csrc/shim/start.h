/* Carrying out START, from the request to the answer. */
#ifndef KL_SHIM_START_H
#define KL_SHIM_START_H

#include "message.h"
#include "process.h"

/* Starts a process, or fails with everything undone but the table entry's absence told by the error. The answer to `conn` comes
 * when the program runs. Descriptors stay the caller's. */
int start_process(struct conn *conn, const struct message *message, const int *fds, size_t nfds, kl_error *err);

/* Takes in what a starting child has said; before it is reaped it has said everything. */
void start_hear(struct process *process);

/* A child that could not start has been reaped: answers whoever asked and takes it from the table. False for any other. */
bool start_failed(struct process *process);

#endif
