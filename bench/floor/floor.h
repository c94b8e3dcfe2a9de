/* The floor program: what a container and a pod cost in plain C.
 *
 *   main.c       the loop, the stamps, the order of tearing down
 *   fail.c       the one error message
 *   cgroup.c     cgroup directories on v1, hybrid and v2
 *   container.c  one container: clone3 in the parent, mounts and capabilities in the child
 *   net.c        veth, bridge, address and route over rtnetlink
 *   tiny.c       the two programs that are executed: true and pause
 *
 * It only measures: it takes no input but its command line and is no runtime.
 * Every function that can fail returns -1 after one line on standard error. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_HIERARCHIES = 8, NAME_LEN = 48 };

/* Prints the failed step and errno to standard error; returns -1 (fail.c). */
int fail(const char *step, const char *object);

/* ---- cgroup.c ---- */

struct hierarchy {
    int base; /* directory descriptor of the cgroup all of ours lie in */
    bool v2;
    unsigned controllers; /* bits of enum controller */
    char path[PATH_MAX];
};

struct cgroups {
    size_t count;
    struct hierarchy h[MAX_HIERARCHIES];
};

/* What a new process needs to become a member; all descriptors close-on-exec. */
struct membership {
    size_t ntasks;
    int tasks[MAX_HIERARCHIES]; /* v1: the child writes "0" into each */
    int into;                   /* v2 directory for CLONE_INTO_CGROUP, or -1 */
};

int cgroups_open(struct cgroups *g, const char *name);
void cgroups_close(struct cgroups *g);
const char *cgroups_kind(const struct cgroups *g);
int cgroup_make_pod(const struct cgroups *g, const char *pod);
int cgroup_make_container(const struct cgroups *g, const char *path, struct membership *m);
void membership_close(struct membership *m);
int cgroup_remove(const struct cgroups *g, const char *path);

/* ---- container.c ---- */

/* Paths that every container of a run shares. */
struct world {
    char work[PATH_MAX]; /* ours: upper directories, the mount points below */
    char lower[PATH_MAX];
    char merged[PATH_MAX]; /* where each container, in its own mount namespace, mounts its root */
    char shm[PATH_MAX];
    char empty[PATH_MAX]; /* read-only tmpfs that hides directories */
    char volume[PATH_MAX];
    char pause[PATH_MAX]; /* the program that holds a sandbox */
};

struct process {
    pid_t pid; /* 0: none */
    int pidfd;
    int sync; /* end of file here: the program was executed */
};

int sandbox_start(const struct world *w, struct process *p);
int container_start(const struct world *w, const struct cgroups *g, const struct process *sandbox,
                    const char *cgroup, unsigned slot, struct process *p);
int process_wait_exec(struct process *p);
int process_reap(struct process *p);
int process_kill(struct process *p);
int upper_remove(const struct world *w, unsigned slot);

/* ---- net.c ---- */

int net_bridge(void);
int net_loopback(const struct process *sandbox);
int net_attach(const struct process *sandbox, const char *host_name, unsigned host_number);
int net_delete(const char *name);
