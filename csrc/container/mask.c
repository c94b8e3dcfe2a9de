#include "mask.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "detached.h"
#include "nodes.h"
#include "prepared.h"
#include "switches.h"
#include "sys.h"

#define COVER_ATTR (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC)

/* A detached mount to cover paths with: the first use attaches it, later ones attach clones. */
struct cover {
    int mount;
    bool attached;
};

/* A detached null device that is no inode of the host, and none that the image or a volume brings
 * (CVE-2025-31133). In a user namespace it was made before. */
static int make_null(int root, int fs, struct prepared *prepared, kl_error *err) {
    if (defence_disabled("null"))
        return detached_clone(root, "dev/null", false, 0, err);
    if (defence_disabled("nodes"))
        return detached_device_mount("/dev/null", 1, 3, err);
    if (prepared)
        return kl_steal_fd(&prepared->cover);
    return nodes_make(fs, "null", S_IFCHR | 0666, makedev(1, 3), err);
}

static int attach_cover(struct cover *cover, int target) {
    SCOPED_FD clone = cover->attached ? sys_open_tree(cover->mount, "", SYS_OPEN_TREE_SELF) : -1;
    if (cover->attached && clone < 0)
        return -1;
    if (sys_attach(cover->attached ? clone : cover->mount, target) < 0)
        return -1;
    cover->attached = true;
    return 0;
}

static int mask(int root, const char *path, struct cover *empty, struct cover *null,
                kl_error *err) {
    struct stat info;
    SCOPED_FD target = sys_openat2(root, path, O_PATH | O_CLOEXEC, SYS_RESOLVE_INSIDE);
    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : kl_fail(err, errno, "mask", "%s", path);
    if (fstat(target, &info) < 0 || attach_cover(S_ISDIR(info.st_mode) ? empty : null, target) < 0)
        return kl_fail(err, errno, "mask", "%s", path);
    return 0;
}

int mask_paths(const struct plan *plan, int root, struct prepared *prepared, kl_error *err) {
    uint32_t count;
    const uint32_t *paths = plan_items(plan, PLAN_MASKED, &count);
    if (count == 0 || defence_disabled("masks"))
        return 0;
    SCOPED_FD fs = nodes_open(root, err);
    SCOPED_FD device = fs < 0 ? -1 : make_null(root, fs, prepared, err);
    SCOPED_FD directory = device < 0 ? -1 : nodes_make(fs, "empty", S_IFDIR | 0755, 0, err);
    if (directory < 0)
        return -1;
    if ((!defence_disabled("nodes") && detached_set(device, 0, COVER_ATTR, 0, err) < 0) ||
        detached_set(directory, 0, COVER_ATTR | MOUNT_ATTR_NODEV, 0, err) < 0)
        return -1;
    struct cover empty = {directory, false}, null = {device, false};
    for (uint32_t i = 0; i < count; i++)
        if (mask(root, plan_string(plan, paths[i]), &empty, &null, err) < 0)
            return -1;
    return nodes_close(fs, err);
}

int mask_make_readonly(const struct plan *plan, int root, kl_error *err) {
    uint32_t count;
    const uint32_t *paths = plan_items(plan, PLAN_READONLY, &count);
    for (uint32_t i = 0; i < count && !defence_disabled("readonly"); i++) {
        const char *path = plan_string(plan, paths[i]);
        SCOPED_FD target = sys_openat2(root, path, O_PATH | O_CLOEXEC, SYS_RESOLVE_INSIDE);
        if (target < 0 && (errno == ENOENT || errno == ENOTDIR))
            continue;
        if (target < 0)
            return kl_fail(err, errno, "make read-only", "%s", path);
        SCOPED_FD copy = sys_open_tree(
            target, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
        if (copy < 0)
            return kl_fail(err, errno, "make read-only", "%s", path);
        if (detached_set(copy, AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, err) < 0)
            return -1;
        if (sys_attach(copy, target) < 0)
            return kl_fail(err, errno, "make read-only", "%s", path);
    }
    return 0;
}
