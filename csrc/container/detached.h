/* Detached mounts: made or cloned, changed, and only then attached somewhere by whoever holds their
 * descriptor. */
#ifndef KL_DETACHED_H
#define KL_DETACHED_H

#include <stdbool.h>

#include "plan.h"

/* A new file system of `type`; `options` are separated by commas. */
int detached_new(const char *type, const char *options, unsigned attr, kl_error *err);

/* A private copy of what is mounted at `path` ("" for `dir` itself), and of what is below it when
 * asked. */
int detached_clone(int dir, const char *path, bool recursive, uint64_t attr, kl_error *err);

/* What a PLAN_BIND mounts, as an O_PATH descriptor: its source, or a path below that, which may
 * lead neither out of it nor through a link (subPath). */
int detached_source(const struct plan *plan, const struct plan_mount *item, kl_error *err);

/* Gives a copy of the source the attributes and propagation that the plan asks for. */
int detached_configure(int mount, const struct plan_mount *item, kl_error *err);

/* The source of a PLAN_BIND or PLAN_BIND_FD. */
int detached_bind(const struct plan *plan, const struct plan_mount *item, const int *fds,
                  kl_error *err);

/* Sets MOUNT_ATTR_* and propagation of a mount; `flags` may be AT_RECURSIVE. */
int detached_set(int mount, unsigned flags, uint64_t attr, uint64_t propagation, kl_error *err);

/* Id-maps a mount to the user namespace `userns`. `own` is the first host id of that namespace for
 * a mount that belongs to the pod alone: where the file system has no id-mapped mounts, its root
 * directory is chowned to the pod instead, and 1 returned. 0 for other mounts. */
int detached_idmap(int mount, bool recursive, int userns, uint32_t own, kl_error *err);

/* Chowns a file (O_PATH is enough) from ids of the host to the same ids of the namespace that
 * begins at host id `first`. */
int detached_chown(int file, uint32_t first, kl_error *err);

/* A device node of the host, checked to be the device `major`:`minor`: an O_PATH descriptor. */
int detached_device_node(const char *path, unsigned major, unsigned minor, kl_error *err);

/* The same as a detached mount. */
int detached_device_mount(const char *path, unsigned major, unsigned minor, kl_error *err);

#endif
