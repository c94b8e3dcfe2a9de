/* Streams over connections: which client is attached to which process, and the data between
 * them. */
#ifndef KL_SHIM_ATTACH_H
#define KL_SHIM_ATTACH_H

#include "shim/process/process.h"

/* The connection carries the streams of the mask from now on (bit 0 stdin, 1 stdout, 2 stderr). A
 * session is the connection that the process was started for: only a session can pause the reading
 * of output, and the process' streams are closed with it. */
void attach_begin(struct conn *conn, struct process *process, uint32_t streams, uint32_t seq,
                  bool session);

/* Detaches the connection from its process, if any; `lost`: it was closed without a DETACH. */
void attach_leave(struct conn *conn, bool lost);

/* To every attached client: output, the end of a stream, the exit. */
void attach_output(struct process *process, int stream, const void *bytes, size_t size);
void attach_end(struct process *process, int stream);
void attach_exited(struct process *process);

/* Input received over the connection; its end. */
void attach_input(struct conn *conn, const uint8_t *bytes, size_t size);
void attach_input_end(struct conn *conn);

/* The process accepts input again. */
void attach_input_ready(struct process *process);

/* The connection has sent its queue. */
void attach_flushed(struct conn *conn);

#endif
