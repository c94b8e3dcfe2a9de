/* The shim's ends of a process' standard streams: copied to its log and to attached clients. */
#ifndef KL_SHIM_STDIO_H
#define KL_SHIM_STDIO_H

#include "shim/process/process.h"

/* Makes the pipes that the start flags ask for; `child` receives the other ends, to be closed after
 * the start. Reading begins with stdio_hold(false), after the answer to the start. */
int stdio_open(struct process *process, int child[3], kl_error *err);

/* Takes over the master side of the process' terminal, at a size in characters (0: unknown). */
int stdio_adopt_terminal(struct process *process, int master, uint16_t rows, uint16_t columns,
                         kl_error *err);

/* Reads what an exited process has written, and no more: others may hold the same pipe and go on
 * writing. */
void stdio_drain(struct process *process);

/* Whether a stream is still open. */
bool stdio_is_open(const struct process *process);

/* Closes the streams: writers get SIGPIPE, the session on a terminal SIGHUP. */
void stdio_close(struct process *process);

/* Pauses or resumes reading: a session whose client does not read blocks its process, as a pipe
 * would. */
void stdio_hold(struct process *process, bool hold);

/* Writes input; returns how much was accepted: all of it when the process reads no more. */
size_t stdio_write(struct process *process, const uint8_t *bytes, size_t size);

/* End of input: closes the pipe, or types the terminal's end-of-file character. */
void stdio_end_input(struct process *process);

void stdio_resize(struct process *process, uint16_t rows, uint16_t columns);

#endif
