/* The child side of a start. Everything it needs was prepared before the clone: nothing is
 * allocated. */
#ifndef KL_CHILD_H
#define KL_CHILD_H

#include <stdbool.h>

#include "spawn.h"

struct prepared;

/* What the child tells its parent over the sync socket, one packet each. End of file: the program
 * was executed. */
enum sync_message {
    SYNC_FAILED = 1,   /* error says what failed; the child is about to leave */
    SYNC_TERMINAL = 2, /* carries the master side of the container's terminal */
    SYNC_MAPS = 3,     /* "write my id maps": the parent answers with one byte */
};

struct sync_packet {
    uint32_t message;
    kl_error error;
};

struct child {
    const struct spawn_request *request;
    char *const *argv;
    char *const *envp;
    int sync;   /* the child's end */
    int parent; /* the parent's end: the child closes it, or it would not see its parent's death */
    bool in_cgroup;            /* clone3 has put it into the v2 cgroup already */
    bool joined;               /* it was born in the namespaces to join */
    struct prepared *prepared; /* to be filled before a user namespace is joined; NULL: none is */
};

_Noreturn void child_run(const struct child *child);

/* The intermediate process between the shim and a container in a user namespace: only from inside
 * that namespace can a child be born whose pid and mount namespaces belong to it. CLONE_PARENT
 * makes the shim the parent of that child, whose pid is written to `report`. */
_Noreturn void child_run_intermediate(struct child *child, int report);

#endif
