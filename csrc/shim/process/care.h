/* Who looks after the pod. A client that does says so (MSG_CARE); when it is gone and the pod still
 * needs care, the node agent is told, and where none runs the care command starts one. */
#ifndef KL_SHIM_CARE_H
#define KL_SHIM_CARE_H

#include "shim/conn.h"

/* The pod, for the agent, and the directory of its exit files, from which the agent's socket is
 * found. */
void care_prepare(const char *uid, int exits);

/* A client has said whether the pod needs care. */
void care_asked(struct conn *conn, bool needed);

/* Milliseconds until care_step must be called again without any event; -1: not at all. */
int care_timeout(void);

/* Calls for somebody when it is time to. Called between two events. */
void care_step(void);

#endif
