/* The requests of protocol.h and their answers. */
#ifndef KL_SHIM_SERVER_H
#define KL_SHIM_SERVER_H

/* Serves `listener`, and the connection that the launcher holds the other end of. Returns -1 with errno. */
int server_open(int listener, int first);

/* Closes connections that have ended; called between two events. Without a connection and a process the end begins. */
void server_tidy(void);

#endif
