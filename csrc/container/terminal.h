/* A terminal made inside the container, from its own devpts: the caller's is never handed in. */
#ifndef KL_TERMINAL_H
#define KL_TERMINAL_H

#include "plan.h"

/* Opens a new terminal pair in the current mount namespace; returns the slave and stores the
 * master. */
int terminal_open(uint32_t uid, int *master, kl_error *err);

/* Makes the slave the controlling terminal of this session and its stdin, stdout and stderr. */
int terminal_set_stdio(int slave, kl_error *err);

#endif
