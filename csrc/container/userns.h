/* A container of a pod with a user namespace of its own (hostUsers: false): once it has joined that
 * namespace it may open nothing of the host any more, and could not have ids mapped. So everything
 * is opened, and its ids mapped, before. */
#ifndef KL_USERNS_H
#define KL_USERNS_H

#include <sys/types.h>

#include "plan.h"

struct prepared;

/* A user namespace, and its first id on the host. */
struct userns {
    int fd;
    uint32_t first;
};

/* The host id that id 0 of a process' user namespace maps to; 0 when that cannot be read. */
uint32_t userns_first_id(pid_t pid);

/* Room for what the plan may need; one block of memory, which the caller frees. NULL without. */
struct prepared *prepared_new(const struct plan *plan);

/* Opens everything, id-mapped to the user namespace. Needs a private mount namespace. */
int userns_prepare(const struct plan *plan, const int *fds, const struct userns *userns,
                   struct prepared *out, kl_error *err);

#endif
