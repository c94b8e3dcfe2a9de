/* Detached mounts: made or cloned, changed, and only then attached somewhere by whoever holds their descriptor. */
#ifndef KL_DETACHED_H
#define KL_DETACHED_H

#include <stdbool.h>

#include "plan.h"

/* A new file system of `type`; `options` are separated by commas. */
int detached_new(const char *type, const char *options, unsigned attr, kl_error *err);

/* A private copy of what is mounted at `path` ("" for `dir` itself), and of what is below it when asked. */
int detached_clone(int dir, const char *path, bool recursive, uint64_t attr, kl_error *err);

/* The source of a PLAN_BIND or PLAN_BIND_FD. */
int detached_bind(const struct plan *plan, const struct plan_mount *item, const int *fds, kl_error *err);

/* Sets MOUNT_ATTR_* and propagation of a mount; `flags` may be AT_RECURSIVE. */
int detached_set(int mount, unsigned flags, uint64_t attr, uint64_t propagation, kl_error *err);

/* Shows the ids of a mount as the user namespace `users` maps them. `own` is the first id of that namespace for a mount that
 * is the pod's alone: where the file system cannot do it, its root is given to the pod instead, and 1 returned. 0 for others. */
int detached_map(int mount, bool recursive, int users, uint32_t own, kl_error *err);

/* Gives a file, which may be open as a path only, from the host's users to those that begin at `first`. */
int detached_give(int file, uint32_t first, kl_error *err);

/* A device node of the host, checked to be the device that it should be: as a place in the host's tree, and as a mount. */
int detached_node(const char *path, unsigned major, unsigned minor, kl_error *err);
int detached_device(const char *path, unsigned major, unsigned minor, kl_error *err);

#endif
