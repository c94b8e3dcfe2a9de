/* Carrying out START, from the request to the answer. */
#ifndef KL_SHIM_START_H
#define KL_SHIM_START_H

#include "shim/message.h"
#include "process.h"

/* Starts a process, or fails with everything undone and no entry in the table. The answer to `conn`
 * is sent when the program runs. Descriptors stay the caller's. */
int start_process(struct conn *conn, const struct message *message, const int *fds, size_t nfds,
                  kl_error *err);

/* Reads the messages of a starting child and acts on them; called once more before it is reaped. */
void start_read(struct process *process);

/* For a reaped child that never ran its program: answers the waiting connections and removes it
 * from the table. False for any other process. */
bool start_finish_failed(struct process *process);

#endif
