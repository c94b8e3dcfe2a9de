#include "users.h"

#include <errno.h>
#include <limits.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "detached.h"
#include "mount.h"
#include "nodes.h"
#include "sys.h"

#define LAYERS_MOST 128

struct prepared *users_reserve(const struct plan *plan) {
    uint32_t mounts, devices;
    plan_items(plan, PLAN_MOUNTS, &mounts);
    plan_items(plan, PLAN_DEVICES, &devices);
    const size_t count = (size_t)mounts + devices;
    struct prepared *made = malloc(sizeof *made + count * sizeof(int));
    if (!made)
        return NULL;
    made->root = -1;
    made->mounts = (int *)(made + 1);
    made->devices = made->mounts + mounts;
    for (size_t i = 0; i < DEFAULT_NODES; i++)
        made->nodes[i] = -1;
    for (size_t i = 0; i < count; i++)
        made->mounts[i] = -1;
    return made;
}

static int give_part(int layer, const char *name, const struct users *users, kl_error *err) {
    SCOPED_FD part = openat(layer, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return part < 0 ? kl_fail(err, errno, "open", "%s", name) : detached_give(part, users->first, err);
}

/* Attaches a copy of `path` with the pod's ids below `scratch`, where overlay will find it by the name of its number. Layer 0
 * is the pod's own: where its ids cannot be mapped, what overlay writes there has the pod's ids on the disk as well. */
static int place_layer(int scratch, unsigned number, const char *path, const struct users *users, kl_error *err) {
    char name[16];
    snprintf(name, sizeof name, "%u", number);
    SCOPED_FD layer = detached_clone(AT_FDCWD, path, false, 0, err);
    const int mapped = layer < 0 ? -1 : detached_map(layer, false, users->fd, number ? 0 : users->first, err);
    if (mapped < 0) {
        const kl_error cause = *err;
        return kl_fail(err, cause.code, "show layer to the pod", "%.180s (%.47s)", path, cause.step);
    }
    if (mapped == 1 && (give_part(layer, "upper", users, err) < 0 || give_part(layer, "work", users, err) < 0))
        return -1;
    if (mkdirat(scratch, name, 0700) < 0)
        return kl_fail(err, errno, "make directory", "layer %u", number);
    SCOPED_FD target = openat(scratch, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (target < 0 || sys_attach(layer, target) < 0)
        return kl_fail(err, errno, "attach layer", "%s", path);
    return 0;
}

/* "LOWER:LOWER:...,PLACE": PLACE, which holds `upper` and `work`, becomes 0 and the lower layers 1 and following. */
static int place_layers(int scratch, char *layers, const struct users *users, unsigned *count, kl_error *err) {
    char *place = strchr(layers, ','), *path;
    if (!place)
        return kl_fail(err, EINVAL, "read layers", "%.200s", layers);
    *place++ = '\0';
    if (place_layer(scratch, 0, place, users, err) < 0)
        return -1;
    for (*count = 0; (path = strsep(&layers, ":")) != NULL;)
        if (*count == LAYERS_MOST || place_layer(scratch, ++*count, path, users, err) < 0)
            return *count == LAYERS_MOST ? kl_fail(err, E2BIG, "read layers", "%u", *count) : -1;
    return 0;
}

/* Overlay works in its upper layer as whoever mounted it, and there the host's root has no id: it is done as the pod's root,
 * who owns that layer, with the host's capabilities kept. They go when the user namespace is joined. */
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

/* An overlay itself cannot show other ids, its layers can. They are attached to a tmpfs of the caller's mount namespace:
 * before Linux 6.14 overlay takes no layer that is attached nowhere. */
static int overlay(const struct plan *plan, const struct users *users, kl_error *err) {
    char layers[PATH_MAX * 8], options[LAYERS_MOST * 4 + 128] = "lowerdir=1";
    unsigned count = 0;
    const char *base = plan_string(plan, plan->head->root_base), *said = plan_string(plan, plan->head->root_options);
    if (snprintf(layers, sizeof layers, "%s", said) >= (int)sizeof layers)
        return kl_fail(err, E2BIG, "read layers", "%zu bytes", strlen(said));
    SCOPED_FD scratch = detached_new("tmpfs", "mode=0700", 0, err);
    SCOPED_FD slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    SCOPED_FD dir = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (scratch < 0 || slash < 0 || dir < 0 || fchdir(dir) < 0)
        return err->code ? -1 : kl_fail(err, errno, "enter", "%s", base);
    if (sys_attach(scratch, slash) < 0)
        return kl_fail(err, errno, "attach layers", "%s", base);
    if (place_layers(scratch, layers, users, &count, err) < 0)
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

static int prepare_nodes(struct prepared *out, kl_error *err) {
    char path[32];
    for (size_t i = 0; i < DEFAULT_NODES; i++) {
        snprintf(path, sizeof path, "/dev/%s", default_nodes[i].name);
        out->nodes[i] = detached_device(path, default_nodes[i].major, default_nodes[i].minor, err);
        if (out->nodes[i] < 0)
            return -1;
    }
    return 0;
}

/* The volume of a subPath, and the directories on the way that were made with it. */
static int give_above(const struct plan *plan, const struct plan_mount *item, const struct users *users,
                      kl_error *err) {
    char way[PATH_MAX] = "./";
    const char *below = plan_string(plan, item->options);
    SCOPED_FD volume = open(plan_string(plan, item->source), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (volume < 0 || snprintf(way + 2, sizeof way - 2, "%s", below) >= (int)sizeof way - 2)
        return kl_fail(err, volume < 0 ? errno : ENAMETOOLONG, "open volume", "%s", below);
    for (char *end; (end = strrchr(way, '/')) != NULL;) {
        *end = '\0';
        SCOPED_FD dir = sys_openat2(volume, way, O_PATH | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
        if (dir < 0)
            return kl_fail(err, errno, "open subPath", "%s", below);
        if (detached_give(dir, users->first, err) < 0)
            return -1;
    }
    return 0;
}

static int prepare_mounts(const struct plan *plan, const int *fds, const struct users *users, struct prepared *out,
                          kl_error *err) {
    uint32_t count;
    const struct plan_mount *mounts = plan_items(plan, PLAN_MOUNTS, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (mounts[i].kind != PLAN_BIND && mounts[i].kind != PLAN_BIND_FD)
            continue;
        const bool recursive = mounts[i].flags & PLAN_MOUNT_RECURSIVE;
        const uint32_t own = mounts[i].flags & PLAN_MOUNT_OWN ? users->first : 0;
        out->mounts[i] = detached_bind(plan, &mounts[i], fds, err);
        const int mapped = out->mounts[i] < 0 ? -1 : detached_map(out->mounts[i], recursive, users->fd, own, err);
        const bool part = mapped == 1 && mounts[i].flags & PLAN_MOUNT_SUBPATH;
        if (mapped < 0 || (part && give_above(plan, &mounts[i], users, err) < 0))
            return mount_blame(plan, &mounts[i], err);
    }
    return 0;
}

/* A device that has gone from the host since the plan was made is left out. */
static int prepare_devices(const struct plan *plan, struct prepared *out) {
    uint32_t count;
    kl_error ignored;
    const struct plan_device *devices = plan_items(plan, PLAN_DEVICES, &count);
    for (uint32_t i = 0; i < count; i++)
        out->devices[i] =
            detached_device(plan_string(plan, devices[i].path), devices[i].major, devices[i].minor, &ignored);
    return 0;
}

int users_prepare(const struct plan *plan, const int *fds, const struct users *users, struct prepared *out,
                  kl_error *err) {
    err->code = 0;
    if (prepare_nodes(out, err) < 0 || prepare_mounts(plan, fds, users, out, err) < 0 || prepare_devices(plan, out) < 0)
        return -1;
    if (plan->head->root_kind == PLAN_ROOT_IDMAPPED)
        out->root = overlay(plan, users, err);
    return plan->head->root_kind != PLAN_ROOT_IDMAPPED || out->root >= 0 ? 0 : -1;
}
