/* The requests of protocol.h and their answers. */
#ifndef KL_SHIM_SERVER_H
#define KL_SHIM_SERVER_H

/* Serves `listener`, and `first`, the connection to the launcher. Returns -1 with errno. */
int server_open(int listener, int first);

/* Closes dead connections; called between two events. Without connections and processes the end
 * begins. */
void server_sweep(void);

#endif
