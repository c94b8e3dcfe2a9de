/* The parent side of a start: clones a child that carries out a plan, and reads its progress. */
#ifndef KL_SPAWN_H
#define KL_SPAWN_H

#include <sys/types.h>

#include "plan.h"

enum spawn_role {
    SPAWN_PAUSE = 1,     /* holds the pod's namespaces; program is `program_fd` */
    SPAWN_CONTAINER = 2, /* joins pause */
    SPAWN_EXEC = 3,      /* joins a container */
};

struct spawn_request {
    enum spawn_role role;
    const struct plan *plan;
    const int *fds; /* what came with the plan */
    size_t nfds;
    int anchor;       /* pidfd whose namespaces head->join_ns names; -1 for pause */
    pid_t anchor_pid; /* its number */
    int program_fd;   /* pause: the sealed memfd to execute; else -1 */
    int stdio[3]; /* the child's ends; -1: /dev/null of the container. All -1 with PLAN_TERMINAL */
};

struct spawned {
    pid_t pid;
    int pidfd;
    int sync; /* non-blocking; readable when the child has sent a message */
};

enum spawn_event {
    SPAWN_WAIT, /* nothing (more) to read yet */
    /* The container's terminal is ready: *terminal is its master side, owned by the caller now. The
     * child waits for spawn_continue, so that the program starts with the terminal at its size. */
    SPAWN_TERMINAL,
    SPAWN_EXECED, /* the program runs; sync may be closed */
    SPAWN_FAILED, /* *err says what failed; the child has exited or is about to, reap it */
};

/* Clones the child. The caller blocks all signals and has their handlers at default. Plan and
 * descriptors must stay valid until SPAWN_EXECED or SPAWN_FAILED. */
int spawn_start(const struct spawn_request *request, struct spawned *out, kl_error *err);

/* Answers a child that waits for its parent. Returns -1 with errno. */
int spawn_continue(const struct spawned *child);

/* Reads one message of the child; call again until SPAWN_WAIT, SPAWN_EXECED or SPAWN_FAILED. Writes
 * id maps when the child asks for them. */
enum spawn_event spawn_read(const struct spawned *child, const struct plan *plan, int *terminal,
                            kl_error *err);

#endif
