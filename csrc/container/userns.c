#include "userns.h"

#include <errno.h>
#include <limits.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "detached.h"
#include "mount.h"
#include "prepared.h"
#include "procfs.h"
#include "sys.h"

#define MAX_LAYERS 256

uint32_t userns_first_id(pid_t pid) {
    char path[64], map[64];
    const char *cursor = map;
    snprintf(path, sizeof path, "/proc/%d/uid_map", pid);
    procfs_read(path, map, sizeof map);
    procfs_number(&cursor); /* the id inside */
    return (uint32_t)procfs_number(&cursor);
}

struct prepared *prepared_new(const struct plan *plan) {
    uint32_t mounts, devices;
    plan_items(plan, PLAN_MOUNTS, &mounts);
    plan_items(plan, PLAN_DEVICES, &devices);
    const size_t count = (size_t)mounts + devices;
    struct prepared *prepared = malloc(sizeof *prepared + count * sizeof(int));
    if (!prepared)
        return NULL;
    prepared->root = prepared->cover = -1;
    prepared->mounts = (int *)(prepared + 1);
    prepared->devices = prepared->mounts + mounts;
    for (size_t i = 0; i < DEFAULT_NODES; i++)
        prepared->nodes[i] = -1;
    for (size_t i = 0; i < count; i++)
        prepared->mounts[i] = -1;
    return prepared;
}

static int chown_part(int layer, const char *name, const struct userns *userns, kl_error *err) {
    SCOPED_FD part = openat(layer, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return part < 0 ? kl_fail(err, errno, "open", "%s", name)
                    : detached_chown(part, userns->first, err);
}

/* Attaches an id-mapped clone of `path` to `scratch`, under its number as a name for overlay. Layer
 * 0 is the pod's upper layer: where it cannot be id-mapped it is chowned, and overlay writes the
 * pod's ids to disk. */
static int attach_layer(int scratch, unsigned number, const char *path, const struct userns *userns,
                        kl_error *err) {
    char name[16];
    snprintf(name, sizeof name, "%u", number);
    SCOPED_FD layer = detached_clone(AT_FDCWD, path, false, 0, err);
    const int mapped =
        layer < 0 ? -1 : detached_idmap(layer, false, userns->fd, number ? 0 : userns->first, err);
    if (mapped < 0) {
        const kl_error cause = *err;
        return kl_fail(err, cause.code, "map ids of layer", "%.180s (%.47s)", path, cause.step);
    }
    if (mapped == 1 &&
        (chown_part(layer, "upper", userns, err) < 0 || chown_part(layer, "work", userns, err) < 0))
        return -1;
    if (mkdirat(scratch, name, 0700) < 0)
        return kl_fail(err, errno, "make directory", "layer %u", number);
    SCOPED_FD target = openat(scratch, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target < 0 || sys_attach(layer, target) < 0)
        return kl_fail(err, errno, "attach layer", "%s", path);
    return 0;
}

/* "LOWER:LOWER:...,UPPER": the directory UPPER, which holds `upper` and `work`, becomes layer 0 and
 * the lower ones 1 and following. */
static int attach_layers(int scratch, char *layers, const struct userns *userns, unsigned *count,
                         kl_error *err) {
    char *upper = strchr(layers, ','), *path;
    if (!upper)
        return kl_fail(err, EINVAL, "read layers", "%.200s", layers);
    *upper++ = '\0';
    if (attach_layer(scratch, 0, upper, userns, err) < 0)
        return -1;
    for (*count = 0; (path = strsep(&layers, ":")) != NULL;)
        if (*count == MAX_LAYERS || attach_layer(scratch, ++*count, path, userns, err) < 0)
            return *count == MAX_LAYERS ? kl_fail(err, E2BIG, "read layers", "%u", *count) : -1;
    return 0;
}

/* Overlay writes to its upper layer with the credentials of its mounter, and the host's root has no
 * id there: it is mounted as the pod's root, who owns that layer, keeping the host's capabilities.
 * They go when the user namespace is joined. */
static int mount_as_owner(const char *target, const char *options, kl_error *err) {
    struct stat owner;
    SCOPED_FD upper = open("0/upper", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (upper < 0 || fstat(upper, &owner) < 0)
        return kl_fail(err, errno, "find owner", "upper layer");
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
        return kl_fail(err, errno, "keep capabilities", "mount");
    syscall(SYS_setfsgid, owner.st_gid);
    syscall(SYS_setfsuid, owner.st_uid);
    int code = sys_mount("overlay", target, "overlay", 0, options) < 0 ? errno : 0;
    syscall(SYS_setfsuid, 0);
    syscall(SYS_setfsgid, 0);
    return code ? kl_fail(err, code, "mount overlay", "%.200s", options) : 0;
}

/* An overlay cannot be id-mapped itself, its layers can. They are attached to a tmpfs in the
 * caller's mount namespace: before Linux 6.14 overlay refuses detached layers. */
static int mount_idmapped_overlay(const struct plan *plan, const struct userns *userns,
                                  kl_error *err) {
    char layers[PATH_MAX * 8], options[MAX_LAYERS * 4 + 128] = "lowerdir=1";
    unsigned count = 0;
    const char *base = plan_string(plan, plan->head->root_base),
               *root_options = plan_string(plan, plan->head->root_options);
    if (snprintf(layers, sizeof layers, "%s", root_options) >= (int)sizeof layers)
        return kl_fail(err, E2BIG, "read layers", "%zu bytes", strlen(root_options));
    SCOPED_FD scratch = detached_new("tmpfs", "mode=0700", 0, err);
    if (scratch < 0)
        return -1;
    SCOPED_FD slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (slash < 0 || chdir(base) < 0)
        return kl_fail(err, errno, "enter", "%s", base);
    if (sys_attach(scratch, slash) < 0)
        return kl_fail(err, errno, "attach layers", "%s", base);
    if (attach_layers(scratch, layers, userns, &count, err) < 0)
        return -1;
    for (unsigned i = 2; i <= count; i++)
        snprintf(options + strlen(options), sizeof options - strlen(options), ":%u", i);
    snprintf(options + strlen(options), sizeof options - strlen(options),
             ",upperdir=0/upper,workdir=0/work,index=off,metacopy=off,redirect_dir=off");
    if (fchdir(scratch) < 0 || mkdirat(scratch, "root", 0700) < 0)
        return kl_fail(err, errno, "make directory", "root");
    if (mount_as_owner("root", options, err) < 0)
        return -1;
    SCOPED_FD made = detached_clone(AT_FDCWD, "root", false, 0, err);
    if (made < 0)
        return -1;
    if (sys_umount(".", SYS_UMOUNT_DETACH) < 0 || chdir("/") < 0)
        return kl_fail(err, errno, "leave", "layers");
    return kl_steal_fd(&made);
}

static int prepare_default_nodes(int fs, struct prepared *out, kl_error *err) {
    for (size_t i = 0; i < DEFAULT_NODES; i++) {
        const struct node *node = &default_nodes[i];
        const dev_t device = makedev(node->major, node->minor);
        out->nodes[i] = nodes_make(fs, node->name, S_IFCHR | 0666, device, err);
        if (out->nodes[i] < 0)
            return -1;
    }
    out->cover = nodes_make(fs, "cover", S_IFCHR | 0666, makedev(1, 3), err);
    return out->cover < 0 ? -1 : 0;
}

/* A fresh node for each device of the plan, with the mode and owner that it has on the host: ids of
 * the host stay out of reach in the container. A device that has disappeared from the host since
 * the plan was made is left out. */
static int prepare_devices(const struct plan *plan, int fs, struct prepared *out, kl_error *err) {
    uint32_t count;
    char name[16];
    struct stat info;
    kl_error ignored;
    const struct plan_device *devices = plan_items(plan, PLAN_DEVICES, &count);
    for (uint32_t i = 0; i < count; i++) {
        SCOPED_FD node = detached_device_node(plan_string(plan, devices[i].path), devices[i].major,
                                              devices[i].minor, &ignored);
        if (node < 0 || fstat(node, &info) < 0)
            continue;
        snprintf(name, sizeof name, "%u", i);
        out->devices[i] = nodes_make(fs, name, info.st_mode, info.st_rdev, err);
        if (out->devices[i] < 0)
            return -1;
        if (fchownat(out->devices[i], "", info.st_uid, info.st_gid, AT_EMPTY_PATH) < 0)
            return kl_fail(err, errno, "change owner of device", "%s",
                           plan_string(plan, devices[i].path));
    }
    return 0;
}

static int prepare_nodes(const struct plan *plan, struct prepared *out, kl_error *err) {
    SCOPED_FD slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (slash < 0)
        return kl_fail(err, errno, "open root", "/");
    const mode_t before = umask(0);
    SCOPED_FD fs = nodes_open(slash, err);
    const int result =
        fs < 0 || prepare_default_nodes(fs, out, err) < 0 || prepare_devices(plan, fs, out, err) < 0
            ? -1
            : nodes_close(fs, err);
    umask(before);
    return result;
}

/* Chowns the volume of a subPath and the directories above its end, which were made with it. */
static int chown_parents(const struct plan *plan, const struct plan_mount *item,
                         const struct userns *userns, kl_error *err) {
    char parent[PATH_MAX] = "./";
    const char *below = plan_string(plan, item->options);
    SCOPED_FD volume = open(plan_string(plan, item->source), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (volume < 0 ||
        snprintf(parent + 2, sizeof parent - 2, "%s", below) >= (int)sizeof parent - 2)
        return kl_fail(err, volume < 0 ? errno : ENAMETOOLONG, "open volume", "%s", below);
    for (char *end; (end = strrchr(parent, '/')) != NULL;) {
        *end = '\0';
        SCOPED_FD dir =
            sys_openat2(volume, parent, O_PATH | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (dir < 0)
            return kl_fail(err, errno, "open subPath", "%s", below);
        if (detached_chown(dir, userns->first, err) < 0)
            return -1;
    }
    return 0;
}

static int prepare_mounts(const struct plan *plan, const int *fds, const struct userns *userns,
                          struct prepared *out, kl_error *err) {
    uint32_t count;
    const struct plan_mount *mounts = plan_items(plan, PLAN_MOUNTS, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (mounts[i].kind != PLAN_BIND && mounts[i].kind != PLAN_BIND_FD)
            continue;
        const bool recursive = mounts[i].flags & PLAN_MOUNT_RECURSIVE;
        const uint32_t own = mounts[i].flags & PLAN_MOUNT_OWN ? userns->first : 0;
        out->mounts[i] = detached_bind(plan, &mounts[i], fds, err);
        const int mapped = out->mounts[i] < 0
                               ? -1
                               : detached_idmap(out->mounts[i], recursive, userns->fd, own, err);
        const bool part = mapped == 1 && mounts[i].flags & PLAN_MOUNT_SUBPATH;
        if (mapped < 0 || (part && chown_parents(plan, &mounts[i], userns, err) < 0))
            return mount_fail(plan, &mounts[i], err);
    }
    return 0;
}

int userns_prepare(const struct plan *plan, const int *fds, const struct userns *userns,
                   struct prepared *out, kl_error *err) {
    if (prepare_nodes(plan, out, err) < 0 || prepare_mounts(plan, fds, userns, out, err) < 0)
        return -1;
    if (plan->head->root_kind == PLAN_ROOT_IDMAPPED)
        out->root = mount_idmapped_overlay(plan, userns, err);
    return plan->head->root_kind != PLAN_ROOT_IDMAPPED || out->root >= 0 ? 0 : -1;
}
