/* System calls that libc lacks, or wraps differently from version to version: one thin function
 * each, errno on failure. */
#ifndef KL_SYS_H
#define KL_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#define SYS_UMOUNT_DETACH 2
#define SYS_OPEN_TREE_SELF (OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
/* Resolves a path as if the directory were "/": no link leads out of it. */
#define SYS_RESOLVE_INSIDE (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

static inline int sys_mount(const char *source, const char *target, const char *type,
                            unsigned long flags, const void *data) {
    return (int)syscall(SYS_mount, source, target, type, flags, data);
}

static inline int sys_umount(const char *target, int flags) {
    return (int)syscall(SYS_umount2, target, flags);
}

static inline int sys_fsopen(const char *type) {
    return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static inline int sys_fsconfig(int fs, unsigned command, const char *key, const char *value) {
    return (int)syscall(SYS_fsconfig, fs, command, key, value, 0);
}

static inline int sys_fsmount(int fs, unsigned attr) {
    return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr);
}

static inline int sys_open_tree(int dir, const char *path, unsigned flags) {
    return (int)syscall(SYS_open_tree, dir, path, flags);
}

/* Attaches the mount behind `mount` over the object behind `target`: no path is resolved. */
static inline int sys_attach(int mount, int target) {
    return (int)syscall(SYS_move_mount, mount, "", target, "",
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

static inline int sys_mount_setattr(int mount, unsigned flags, const struct mount_attr *attr) {
    return (int)syscall(SYS_mount_setattr, mount, "", flags | AT_EMPTY_PATH, attr, sizeof *attr);
}

/* EAGAIN means that something was renamed or mounted meanwhile, anywhere on the machine, so that
 * ".." could not be checked (openat2(2)). */
static inline int sys_openat2(int dir, const char *path, uint64_t flags, uint64_t resolve) {
    struct open_how how = {.flags = flags, .resolve = resolve};
    for (int attempt = 0;; attempt++) {
        const int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN || attempt == 1000)
            return fd;
    }
}

static inline int sys_pivot_root(const char *root, const char *old) {
    return (int)syscall(SYS_pivot_root, root, old);
}

static inline pid_t sys_clone3(const struct clone_args *args) {
    return (pid_t)syscall(SYS_clone3, args, sizeof *args);
}

static inline int sys_close_range(unsigned first, unsigned last, unsigned flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}

static inline int sys_accept(int listener, int flags) {
    return (int)syscall(SYS_accept4, listener, NULL, NULL, flags);
}

#endif
