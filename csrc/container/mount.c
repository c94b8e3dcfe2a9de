#include "mount.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"
#include "detached.h"
#include "mask.h"
#include "prepared.h"
#include "switches.h"
#include "sys.h"

#define INSIDE SYS_RESOLVE_INSIDE
/* /proc, /sys and /dev of an image must be no links. */
#define STRICT (INSIDE | RESOLVE_NO_SYMLINKS)

static const struct {
    const char *name, *target;
} default_links[] = {{"fd", "/proc/self/fd"},
                     {"stdin", "/proc/self/fd/0"},
                     {"stdout", "/proc/self/fd/1"},
                     {"stderr", "/proc/self/fd/2"},
                     {"ptmx", "pts/ptmx"}};

/* Resolves `path` with `root` as its root: links in it cannot lead out. */
static int open_inside(int root, const char *path, uint64_t flags, uint64_t resolve) {
    if (defence_disabled("inside"))
        return sys_openat2(root, path + 1, flags, 0);
    return sys_openat2(root, path, flags, resolve);
}

/* A descriptor for the parent directory of `path` inside root, making missing directories; *leaf is
 * set to the start of the last component. Each prefix is resolved from the root again, so that
 * links of an image are followed inside it. */
static int open_parent(int root, const char *path, const char **leaf, kl_error *err) {
    char prefix[PATH_MAX], part[NAME_MAX + 1];
    SCOPED_FD at = sys_openat2(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (at < 0)
        return kl_fail(err, errno, "open root", "%s", path);
    for (const char *next = path;;) {
        next += strspn(next, "/");
        size_t size = strcspn(next, "/");
        if (next[size + strspn(next + size, "/")] == '\0') {
            *leaf = next;
            return kl_steal_fd(&at);
        }
        if (size > NAME_MAX)
            return kl_fail(err, ENAMETOOLONG, "make directory", "%s", path);
        snprintf(prefix, sizeof prefix, "%.*s", (int)(next + size - path), path);
        snprintf(part, sizeof part, "%.*s", (int)size, next);
        int below = open_inside(root, prefix, O_PATH | O_DIRECTORY | O_CLOEXEC, INSIDE);
        if (below < 0 && errno == ENOENT) {
            if (mkdirat(at, part, 0755) < 0 && errno != EEXIST)
                return kl_fail(err, errno, "make directory", "%s", prefix);
            below = sys_openat2(at, part, O_PATH | O_DIRECTORY | O_CLOEXEC, STRICT);
        }
        if (below < 0)
            return kl_fail(err, errno, "open directory", "%s", prefix);
        close(at);
        at = below;
        next += size;
    }
}

/* Makes an empty file or directory at `path`. Returns 1 when the last component is a dangling link,
 * with its destination in `link_target`: /etc/resolv.conf of an image often points into a missing
 * /run. */
static int make_leaf(int root, const char *path, bool file, char *link_target, kl_error *err) {
    const char *leaf;
    char name[NAME_MAX + 1], link[PATH_MAX];
    SCOPED_FD parent = open_parent(root, path, &leaf, err);
    if (parent < 0)
        return -1;
    if (strcspn(leaf, "/") == 0 || strcspn(leaf, "/") > NAME_MAX)
        return kl_fail(err, EINVAL, "make mount point", "%s", path);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(leaf, "/"), leaf);
    SCOPED_FD made = -1;
    if (file ? (made = openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY,
                              0644)) >= 0
             : mkdirat(parent, name, 0755) == 0)
        return 0;
    if (errno != EEXIST)
        return kl_fail(err, errno, "make mount point", "%s", path);
    ssize_t size = readlinkat(parent, name, link, sizeof link - 1);
    if (size < 0)
        return errno == EINVAL ? 0 : kl_fail(err, errno, "read link", "%s", path);
    link[size] = '\0';
    int needed = snprintf(link_target, PATH_MAX, "%.*s%s", link[0] == '/' ? 0 : (int)(leaf - path),
                          path, link);
    return needed < PATH_MAX ? 1 : kl_fail(err, ENAMETOOLONG, "read link", "%s", path);
}

/* Opens a mount target inside root, making it when it is missing. */
static int open_target(int root, const char *path, bool file, uint64_t resolve, kl_error *err) {
    const uint64_t flags = O_PATH | O_CLOEXEC | (file ? 0 : O_DIRECTORY);
    char places[2][PATH_MAX];
    for (int links = 0; links < 8; links++) {
        int fd = open_inside(root, path, flags, resolve);
        if (fd >= 0)
            return fd;
        if (errno != ENOENT || links == 7)
            return kl_fail(err, errno, "open mount point", "%s", path);
        int dangling = make_leaf(root, path, file, places[links % 2], err);
        if (dangling < 0)
            return -1;
        if (dangling)
            path = places[links % 2];
    }
    return kl_fail(err, ELOOP, "open mount point", "%s", path);
}

int mount_make_directory(int root, const char *path, kl_error *err) {
    SCOPED_FD fd = open_target(root, path, false, INSIDE, err);
    return fd < 0 ? -1 : 0;
}

/* Device nodes cannot be made in a user namespace: those made before are bound over empty files. */
static int bind_node(int dir, const char *name, int *node, kl_error *err) {
    SCOPED_FD mount = kl_steal_fd(node);
    SCOPED_FD made = openat(dir, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0666);
    if (made < 0)
        return kl_fail(err, errno, "make device", "%s", name);
    SCOPED_FD target = sys_openat2(dir, name, O_PATH | O_CLOEXEC, STRICT);
    if (target < 0 || sys_attach(mount, target) < 0)
        return kl_fail(err, errno, "bind device", "%s", name);
    return 0;
}

static int make_node(int dev, const struct node *node, kl_error *err) {
    if (mknodat(dev, node->name, S_IFCHR | 0666, makedev(node->major, node->minor)) < 0)
        return kl_fail(err, errno, "make device", "/dev/%s", node->name);
    return 0;
}

static int populate_dev(int dev, struct prepared *prepared, kl_error *err) {
    for (size_t i = 0; i < DEFAULT_NODES; i++) {
        const struct node *node = &default_nodes[i];
        if (prepared ? bind_node(dev, node->name, &prepared->nodes[i], err) < 0
                     : make_node(dev, node, err) < 0)
            return -1;
    }
    for (size_t i = 0; i < sizeof default_links / sizeof *default_links; i++)
        if (symlinkat(default_links[i].target, dev, default_links[i].name) < 0)
            return kl_fail(err, errno, "make link", "/dev/%s", default_links[i].name);
    if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 01777) < 0 ||
        mkdirat(dev, "mqueue", 0755) < 0)
        return kl_fail(err, errno, "make directory", "/dev/pts, shm, mqueue");
    return 0;
}

/* /dev: the caller's umask must be 0, or nodes would lose their mode. */
static int mount_dev(int target, const char *options, unsigned attr, struct prepared *prepared,
                     kl_error *err) {
    SCOPED_FD dev = detached_new("tmpfs", options, attr, err);
    if (dev < 0)
        return -1;
    if (sys_attach(dev, target) < 0)
        return kl_fail(err, errno, "attach mount", "/dev");
    if (populate_dev(dev, prepared, err) < 0)
        return -1;
    SCOPED_FD pts = detached_new("devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5",
                                 MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
    if (pts < 0)
        return -1;
    SCOPED_FD at = sys_openat2(dev, "pts", O_PATH | O_DIRECTORY | O_CLOEXEC, STRICT);
    if (at < 0 || sys_attach(pts, at) < 0)
        return kl_fail(err, errno, "attach mount", "/dev/pts");
    return 0;
}

/* Mounts an overlay on the directory that its layers are relative to and opens it: whoever attaches
 * it elsewhere uncovers the directory. With mount(2) and not fsconfig, whose strings end at 255
 * bytes: a stack of layers is longer. Relative paths are short and free of ':' and ','. */
static int mount_overlay(const char *base, const char *options, kl_error *err) {
    if (chdir(base) < 0)
        return kl_fail(err, errno, "enter", "%s", base);
    if (sys_mount("overlay", ".", "overlay", 0, options) < 0)
        return kl_fail(err, errno, "mount overlay", "%.200s", options);
    int mount = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return mount >= 0 ? mount : kl_fail(err, errno, "open root", "%s", base);
}

static int mount_layers(const struct plan *plan, const struct plan_mount *item, kl_error *err) {
    SCOPED_FD mount =
        mount_overlay(plan_string(plan, item->source), plan_string(plan, item->options), err);
    if (mount < 0 || detached_set(mount, 0, item->attr, MS_PRIVATE, err) < 0)
        return -1;
    return kl_steal_fd(&mount);
}

/* The detached mount that `item` asks for. */
static int make_mount(const struct plan *plan, const struct plan_mount *item, const int *fds,
                      kl_error *err) {
    static const char *const types[] = {
        [PLAN_PROC] = "proc",     [PLAN_SYSFS] = "sysfs",     [PLAN_TMPFS] = "tmpfs",
        [PLAN_MQUEUE] = "mqueue", [PLAN_CGROUP2] = "cgroup2", [PLAN_HUGETLBFS] = "hugetlbfs"};
    if (item->kind == PLAN_BIND || item->kind == PLAN_BIND_FD)
        return detached_bind(plan, item, fds, err);
    if (item->kind == PLAN_LAYERS)
        return mount_layers(plan, item, err);
    SCOPED_FD mount =
        detached_new(types[item->kind], plan_string(plan, item->options), item->attr, err);
    if (mount < 0 ||
        (item->flags & PLAN_MOUNT_SHARED && detached_set(mount, 0, 0, MS_SHARED, err) < 0))
        return -1;
    return kl_steal_fd(&mount);
}

/* Binds a source whose later mounts are to arrive: with mount(2), since what is mounted at the
 * source while a copy is detached does not arrive in it. */
static int bind_in_place(const struct plan *plan, const struct plan_mount *item, int root,
                         int target, kl_error *err) {
    char from[32], to[32];
    const uint64_t file = item->flags & PLAN_MOUNT_FILE ? 0 : O_DIRECTORY;
    const unsigned long depth = item->flags & PLAN_MOUNT_RECURSIVE ? MS_REC : 0;
    SCOPED_FD source = detached_source(plan, item, err);
    if (source < 0)
        return -1;
    snprintf(from, sizeof from, "/proc/self/fd/%d", source);
    snprintf(to, sizeof to, "/proc/self/fd/%d", target);
    if (sys_mount(from, to, NULL, MS_BIND | depth, NULL) < 0)
        return kl_fail(err, errno, "bind", "%s", plan_string(plan, item->source));
    SCOPED_FD mount =
        open_inside(root, plan_string(plan, item->target), O_PATH | O_CLOEXEC | file, INSIDE);
    if (mount < 0)
        return kl_fail(err, errno, "open mount", "%s", plan_string(plan, item->target));
    return detached_configure(mount, item, err);
}

static bool is_kernel_mount(uint32_t kind) {
    return kind == PLAN_PROC || kind == PLAN_SYSFS || kind == PLAN_DEV;
}

static int apply_mount(const struct plan *plan, uint32_t index, int root, const int *fds,
                       struct prepared *prepared, kl_error *err) {
    uint32_t count;
    const struct plan_mount *item =
        (const struct plan_mount *)plan_items(plan, PLAN_MOUNTS, &count) + index;
    SCOPED_FD target = open_target(
        root, plan_string(plan, item->target), item->flags & PLAN_MOUNT_FILE,
        is_kernel_mount(item->kind) && !defence_disabled("strict") ? STRICT : INSIDE, err);
    if (target < 0)
        return -1;
    if (item->kind == PLAN_DEV)
        return mount_dev(target, plan_string(plan, item->options), item->attr, prepared, err);
    const bool ready = prepared && prepared->mounts[index] >= 0;
    const bool propagates = item->flags & (PLAN_MOUNT_SLAVE | PLAN_MOUNT_SHARED);
    if (propagates && item->kind == PLAN_BIND && !ready)
        return bind_in_place(plan, item, root, target, err);
    SCOPED_FD mount =
        ready ? kl_steal_fd(&prepared->mounts[index]) : make_mount(plan, item, fds, err);
    if (mount < 0)
        return -1;
    if (sys_attach(mount, target) < 0)
        return kl_fail(err, errno, "attach mount", "mount");
    return 0;
}

int mount_fail(const struct plan *plan, const struct plan_mount *item, kl_error *err) {
    kl_error cause = *err;
    const char *name = plan_string(plan, item->name);
    return kl_fail(err, cause.code, "mount", "%.100s at %.100s (%.47s)",
                   *name ? name : "file system", plan_string(plan, item->target), cause.step);
}

static int apply_mounts(const struct plan *plan, int root, const int *fds,
                        struct prepared *prepared, kl_error *err) {
    uint32_t count;
    const struct plan_mount *mounts = plan_items(plan, PLAN_MOUNTS, &count);
    for (uint32_t i = 0; i < count; i++) {
        if (apply_mount(plan, i, root, fds, prepared, err) < 0)
            return mount_fail(plan, &mounts[i], err);
    }
    return 0;
}

int mount_pod(const struct plan *plan, const int *fds, kl_error *err) {
    SCOPED_FD root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return kl_fail(err, errno, "open root", "/");
    return apply_mounts(plan, root, fds, NULL, err);
}

static int make_devices(const struct plan *plan, int root, struct prepared *prepared,
                        kl_error *err) {
    uint32_t count;
    const struct plan_device *devices = plan_items(plan, PLAN_DEVICES, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct plan_device *item = &devices[i];
        const char *leaf, *path = plan_string(plan, item->path);
        SCOPED_FD parent = open_parent(root, path, &leaf, err);
        if (parent < 0)
            return -1;
        if (prepared) {
            if (prepared->devices[i] >= 0 &&
                bind_node(parent, leaf, &prepared->devices[i], err) < 0)
                return -1;
            continue;
        }
        if (mknodat(parent, leaf, item->mode, makedev(item->major, item->minor)) < 0) {
            if (errno == EEXIST)
                continue;
            return kl_fail(err, errno, "make device", "%s", path);
        }
        if (fchownat(parent, leaf, item->uid, item->gid, AT_SYMLINK_NOFOLLOW) < 0)
            return kl_fail(err, errno, "change owner of device", "%s", path);
    }
    return 0;
}

/* Puts a mount over "/" so that it is part of this namespace and can be pivoted to. */
static int adopt_root(int mount, kl_error *err) {
    SCOPED_FD root = mount;
    SCOPED_FD slash = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (slash < 0 || sys_attach(root, slash) < 0)
        return kl_fail(err, errno, "attach root", "/");
    return kl_steal_fd(&root);
}

static int open_overlay(const struct plan *plan, kl_error *err) {
    int root = mount_overlay(plan_string(plan, plan->head->root_base),
                             plan_string(plan, plan->head->root_options), err);
    /* Detached at once: the sources of later binds lie below root_base. */
    return root < 0 ? -1 : adopt_root(root, err);
}

/* A root passed as a descriptor may be a peer of a mount of the host: what is mounted on it would
 * propagate there. */
static int clone_root(int prepared, kl_error *err) {
    SCOPED_FD mount = fcntl(prepared, F_DUPFD_CLOEXEC, 0);
    if (mount < 0)
        return kl_fail(err, errno, "duplicate root descriptor", "root");
    return detached_set(mount, AT_RECURSIVE, 0, MS_PRIVATE, err) < 0 ? -1 : kl_steal_fd(&mount);
}

static int open_root(const struct plan *plan, const int *fds, struct prepared *prepared,
                     kl_error *err) {
    if (plan->head->root_kind == PLAN_ROOT_IDMAPPED)
        return prepared && prepared->root >= 0
                   ? adopt_root(kl_steal_fd(&prepared->root), err)
                   : kl_fail(err, EINVAL, "open root", "without user namespace");
    if (plan->head->root_kind == PLAN_ROOT_OVERLAY)
        return open_overlay(plan, err);
    int mount = plan->head->root_kind == PLAN_ROOT_FD
                    ? clone_root(fds[plan->head->root_fd], err)
                    : detached_new("tmpfs", "mode=0555,nr_inodes=1", MOUNT_ATTR_RDONLY, err);
    return mount < 0 ? -1 : adopt_root(mount, err);
}

int mount_root(const struct plan *plan, const int *fds, struct prepared *prepared, kl_error *err) {
    umask(0);
    SCOPED_FD root = open_root(plan, fds, prepared, err);
    if (root < 0)
        return -1;
    if (apply_mounts(plan, root, fds, prepared, err) < 0 ||
        make_devices(plan, root, prepared, err) < 0 || mask_paths(plan, root, prepared, err) < 0 ||
        mask_make_readonly(plan, root, err) < 0)
        return -1;
    if (*plan_string(plan, plan->head->cwd) && !defence_disabled("directory") &&
        mount_make_directory(root, plan_string(plan, plan->head->cwd), err) < 0)
        return -1;
    if (plan->head->flags & PLAN_READONLY_ROOT &&
        detached_set(root, 0, MOUNT_ATTR_RDONLY, 0, err) < 0)
        return -1;
    return kl_steal_fd(&root);
}

int mount_pivot(int root, kl_error *err) {
    SCOPED_FD old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (old < 0 || fchdir(root) < 0)
        return kl_fail(err, errno, "enter root", "/");
    if (sys_pivot_root(".", ".") < 0)
        return kl_fail(err, errno, "pivot_root", "/");
    /* Volumes that the pod's containers share are peers of those below the old root: they would be
     * unmounted everywhere. */
    if (detached_set(old, AT_RECURSIVE, 0, MS_SLAVE, err) < 0)
        return -1;
    if (sys_umount(".", SYS_UMOUNT_DETACH) < 0)
        return kl_fail(err, errno, "leave old root", "/");
    if (chdir("/") < 0)
        return kl_fail(err, errno, "enter root", "/");
    return 0;
}

int mount_console(int slave, kl_error *err) {
    const int strict = defence_disabled("console") ? 0 : O_EXCL | O_NOFOLLOW;
    SCOPED_FD made = open("/dev/console", O_CREAT | O_CLOEXEC | O_WRONLY | strict, 0600);
    if (made < 0)
        return errno == EEXIST || errno == EROFS || errno == ENOENT
                   ? 0
                   : kl_fail(err, errno, "make", "/dev/console");
    SCOPED_FD copy = sys_open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    SCOPED_FD target = open("/dev/console", O_PATH | O_CLOEXEC | (strict & O_NOFOLLOW));
    if (copy < 0 || target < 0 || sys_attach(copy, target) < 0)
        return kl_fail(err, errno, "bind terminal", "/dev/console");
    return 0;
}
