/* The child side of a start. Everything it needs was prepared before the clone: no memory is allocated here. */
#ifndef KL_CHILD_H
#define KL_CHILD_H

#include <stdbool.h>

#include "spawn.h"
#include "users.h"

/* What the child says to its parent over the sync socket, one packet each; end of file means the program was executed. */
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
    int sync;                  /* the child's end */
    int parent;                /* the parent's end: the child closes it, or it would not see its parent's death */
    bool in_cgroup;            /* clone3 has put it into the v2 cgroup already */
    bool joined;               /* it was born in the namespaces to join */
    struct prepared *prepared; /* room for what is taken along into a user namespace; NULL where none is joined */
};

_Noreturn void child_run(const struct child *child);

/* The process between the shim and a container in a user namespace: it alone can have its child born inside with a pid and a
 * mount namespace that belong there. CLONE_PARENT makes the shim the parent of that child. Its pid goes
 * into `report`. */
_Noreturn void child_run_between(struct child *child, int report);

#endif
