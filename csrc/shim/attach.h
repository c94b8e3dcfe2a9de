/* Streams over connections: who is attached to which process, and what passes between them. */
#ifndef KL_SHIM_ATTACH_H
#define KL_SHIM_ATTACH_H

#include "process.h"

/* From now on the connection carries the streams of the mask (bit 0 stdin, 1 stdout, 2 stderr). A session is the connection
 * that its process was started for: only it may hold the process up, and the process' streams end with it. */
void attach_begin(struct conn *conn, struct process *process, uint32_t streams, uint32_t seq, bool session);

/* The connection leaves its process; `lost` when it has ended rather than said so. Harmless when it carries nothing. */
void attach_leave(struct conn *conn, bool lost);

/* To everybody attached: output, the end of a stream, the exit. */
void attach_output(struct process *process, int stream, const void *bytes, size_t size);
void attach_end(struct process *process, int stream);
void attach_exited(struct process *process);

/* Input that came over the connection; its end. */
void attach_input(struct conn *conn, const uint8_t *bytes, size_t size);
void attach_input_end(struct conn *conn);

/* The process takes input again. */
void attach_input_ready(struct process *process);

/* The connection has sent what waited. */
void attach_flushed(struct conn *conn);

#endif
