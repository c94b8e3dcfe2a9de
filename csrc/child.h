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

/* Joins the pod's user namespace with its other ones, having opened what is needed of the host before. */
int child_join_users(const struct child *child, kl_error *err);

_Noreturn void child_run(const struct child *child);

#endif
