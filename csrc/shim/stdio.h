/* The standard streams of a process, the shim's ends of them: pumped to its log and to whoever is attached. */
#ifndef KL_SHIM_STDIO_H
#define KL_SHIM_STDIO_H

#include "process.h"

/* Makes the pipes that the start flags ask for; `child` gets the other ends, to be closed after the start. Nothing is read
 * before stdio_hold says so: the answer to the start comes first. */
int stdio_open(struct process *process, int child[3], kl_error *err);

/* Takes over the master side of the process' terminal, at a size in characters (0: unknown). */
int stdio_take_terminal(struct process *process, int master, uint16_t rows, uint16_t columns, kl_error *err);

/* Reads what a process that has ended had written, and no more: others may hold the same pipe and go on writing. */
void stdio_drain(struct process *process);

/* Whether a stream is still open. */
bool stdio_is_open(const struct process *process);

/* Closes the streams: writers get SIGPIPE, the session on a terminal SIGHUP. */
void stdio_close(struct process *process);

/* Stops or goes on reading: a session whose caller does not read holds its process up, as a pipe would. */
void stdio_hold(struct process *process, bool hold);

/* Writes input; returns how much was taken. Input for a process that does not read any more counts as taken. */
size_t stdio_write(struct process *process, const uint8_t *bytes, size_t size);

/* End of input: closes the pipe, or tells the terminal. */
void stdio_end_input(struct process *process);

void stdio_resize(struct process *process, uint16_t rows, uint16_t columns);

#endif
