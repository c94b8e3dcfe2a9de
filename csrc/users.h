/* What a container of a pod with users of its own takes along from the host: once it has joined the pod's user namespace it
 * may open none of it any more, and could not have its ids shown as its own. */
#ifndef KL_USERS_H
#define KL_USERS_H

#include "plan.h"

#define DEFAULT_NODES 6

/* Detached mounts, -1 where there is none: the root, the default devices, and one for each mount and device of the plan. */
struct prepared {
    int root, nodes[DEFAULT_NODES];
    int *mounts, *devices;
};

/* Makes room for what the plan may need; one block of memory, which the caller frees. NULL when there is none. */
struct prepared *users_reserve(const struct plan *plan);

/* A user namespace, and its first id on the host. */
struct users {
    int fd;
    uint32_t first;
};

/* Opens everything, ids shown as the user namespace maps them. Needs a mount namespace that nobody else sees. */
int users_prepare(const struct plan *plan, const int *fds, const struct users *users, struct prepared *out,
                  kl_error *err);

#endif
