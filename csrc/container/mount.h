/* The mounts of a plan. Everything works on descriptors: a target is resolved once, inside the new
 * root, and the mount is attached to that descriptor, so that a symbolic link swapped in meanwhile
 * redirects nothing. */
#ifndef KL_MOUNT_H
#define KL_MOUNT_H

#include "plan.h"

struct prepared;

/* Carries out the plan's mounts in the caller's own mount namespace: the shim does this once for
 * the pod's tmpfs volumes. */
int mount_pod(const struct plan *plan, const int *fds, kl_error *err);

/* Builds the plan's root file system with all its mounts, devices, masked and read-only paths;
 * returns a descriptor of it. `prepared` is what was opened before the user namespace was joined,
 * or NULL. */
int mount_root(const struct plan *plan, const int *fds, struct prepared *prepared, kl_error *err);

/* Rewrites the error to name the mount that failed: users can act on `mount volume "data" at /srv`.
 * Returns -1. */
int mount_fail(const struct plan *plan, const struct plan_mount *item, kl_error *err);

/* Makes `root` the root of this mount namespace and detaches the old one. */
int mount_pivot(int root, kl_error *err);

/* Binds the terminal behind `slave` over /dev/console of the current root. */
int mount_console(int slave, kl_error *err);

/* Makes the directory at the absolute `path` inside `root` where it is missing, one component at a
 * time. */
int mount_make_directory(int root, const char *path, kl_error *err);

#endif
