#include "detached.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "switches.h"
#include "sys.h"

#define MAX_OPTIONS_SIZE 512

/* Hands a comma-separated option list to a file system under construction. */
static int configure(int fs, const char *options, const char *type, kl_error *err) {
    char copy[MAX_OPTIONS_SIZE];
    if (strlen(options) >= sizeof copy)
        return kl_fail(err, E2BIG, "mount options", "%s", type);
    strcpy(copy, options);
    char *rest = copy, *option;
    while ((option = strsep(&rest, ",")) != NULL) {
        if (*option == '\0')
            continue;
        char *value = strchr(option, '=');
        if (value)
            *value++ = '\0';
        if (sys_fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option, value) < 0)
            return kl_fail(err, errno, "mount option", "%s %s", type, option);
    }
    return 0;
}

int detached_new(const char *type, const char *options, unsigned attr, kl_error *err) {
    SCOPED_FD fs = sys_fsopen(type);
    if (fs < 0)
        return kl_fail(err, errno, "open file system", "%s", type);
    if (sys_fsconfig(fs, FSCONFIG_SET_STRING, "source", type) < 0)
        return kl_fail(err, errno, "mount option", "%s source", type);
    if (configure(fs, options, type, err) < 0)
        return -1;
    if (sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return kl_fail(err, errno, "create file system", "%s", type);
    int mount = sys_fsmount(fs, attr);
    return mount >= 0 ? mount : kl_fail(err, errno, "mount", "%s", type);
}

int detached_set(int mount, unsigned flags, uint64_t attr, uint64_t propagation, kl_error *err) {
    struct mount_attr change = {.attr_set = attr, .propagation = propagation};
    if (sys_mount_setattr(mount, flags, &change) < 0)
        return kl_fail(err, errno, "set mount attributes", "%#llx", (unsigned long long)attr);
    return 0;
}

static int open_clone(int dir, const char *path, bool recursive, kl_error *err) {
    const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0) |
                           (*path ? 0 : AT_EMPTY_PATH);
    const int mount = sys_open_tree(dir, path, flags);
    return mount >= 0 ? mount : kl_fail(err, errno, "bind", "%s", path);
}

int detached_clone(int dir, const char *path, bool recursive, uint64_t attr, kl_error *err) {
    SCOPED_FD mount = open_clone(dir, path, recursive, err);
    if (mount < 0 || detached_set(mount, recursive ? AT_RECURSIVE : 0, 0, MS_PRIVATE, err) < 0)
        return -1;
    if (attr && detached_set(mount, 0, attr, 0, err) < 0)
        return -1;
    return kl_steal_fd(&mount);
}

static uint64_t propagation_of(const struct plan_mount *item) {
    if (item->flags & PLAN_MOUNT_SHARED)
        return MS_SHARED;
    return item->flags & PLAN_MOUNT_SLAVE ? MS_SLAVE : MS_PRIVATE;
}

int detached_source(const struct plan *plan, const struct plan_mount *item, kl_error *err) {
    const char *source = plan_string(plan, item->source);
    SCOPED_FD volume = open(source, O_PATH | O_CLOEXEC);
    if (volume < 0)
        return kl_fail(err, errno, "open volume", "%s", source);
    if (!(item->flags & PLAN_MOUNT_SUBPATH))
        return kl_steal_fd(&volume);
    const char *below = plan_string(plan, item->options);
    const int part =
        sys_openat2(volume, below, O_PATH | O_CLOEXEC,
                    defence_disabled("subpath")
                        ? 0
                        : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    return part >= 0 ? part : kl_fail(err, errno, "open subPath", "%s", below);
}

int detached_configure(int mount, const struct plan_mount *item, kl_error *err) {
    const unsigned depth = item->flags & PLAN_MOUNT_RECURSIVE ? AT_RECURSIVE : 0;
    if (detached_set(mount, depth, 0, propagation_of(item), err) < 0)
        return -1;
    const unsigned attr_depth = item->flags & PLAN_MOUNT_ATTR_BELOW ? AT_RECURSIVE : 0;
    return item->attr ? detached_set(mount, attr_depth, item->attr, 0, err) : 0;
}

static int copy_source(const struct plan *plan, const struct plan_mount *item, const int *fds,
                       kl_error *err) {
    if (item->kind == PLAN_BIND_FD) {
        const int copy = fcntl(fds[item->source], F_DUPFD_CLOEXEC, 0);
        return copy >= 0 ? copy : kl_fail(err, errno, "take mount descriptor", "%u", item->source);
    }
    const bool recursive = item->flags & PLAN_MOUNT_RECURSIVE;
    if (!(item->flags & PLAN_MOUNT_SUBPATH))
        return open_clone(AT_FDCWD, plan_string(plan, item->source), recursive, err);
    SCOPED_FD source = detached_source(plan, item, err);
    return source < 0 ? -1 : open_clone(source, "", recursive, err);
}

int detached_bind(const struct plan *plan, const struct plan_mount *item, const int *fds,
                  kl_error *err) {
    SCOPED_FD mount = copy_source(plan, item, fds, err);
    return mount < 0 || detached_configure(mount, item, err) < 0 ? -1 : kl_steal_fd(&mount);
}

/* Idempotent: the ids of a second container's start are in range already. */
int detached_chown(int file, uint32_t first, kl_error *err) {
    struct stat info;
    if (fstat(file, &info) < 0)
        return kl_fail(err, errno, "find owner", "file of the pod");
    const uid_t uid = info.st_uid < first ? first + info.st_uid : info.st_uid;
    const gid_t gid = info.st_gid < first ? first + info.st_gid : info.st_gid;
    if ((uid != info.st_uid || gid != info.st_gid) &&
        fchownat(file, "", uid, gid, AT_EMPTY_PATH) < 0)
        return kl_fail(err, errno, "change owner", "file of the pod");
    return 0;
}

int detached_idmap(int mount, bool recursive, int userns, uint32_t own, kl_error *err) {
    const struct mount_attr change = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
    if (sys_mount_setattr(mount, recursive ? AT_RECURSIVE : 0, &change) == 0)
        return 0;
    if (errno != EINVAL && errno != EOPNOTSUPP)
        return kl_fail(err, errno, "map ids", "mount");
    if (!own)
        return kl_fail(err, errno, "its file system has no id-mapped mounts", "mount");
    return detached_chown(mount, own, err) < 0 ? -1 : 1;
}

int detached_device_node(const char *path, unsigned major, unsigned minor, kl_error *err) {
    struct stat info;
    SCOPED_FD node = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    if (node < 0 || fstat(node, &info) < 0)
        return kl_fail(err, errno, "open", "%s", path);
    if (!(S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) || info.st_rdev != makedev(major, minor))
        return kl_fail(err, ENODEV, "check", "%s", path);
    return kl_steal_fd(&node);
}

int detached_device_mount(const char *path, unsigned major, unsigned minor, kl_error *err) {
    SCOPED_FD node = detached_device_node(path, major, minor, err);
    return node < 0 ? -1
                    : detached_clone(node, "", false, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
}
