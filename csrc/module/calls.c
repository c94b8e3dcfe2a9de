/* Single system calls that Python's standard library lacks. */
#include "kubelite.h"

#include <errno.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mman.h>

#include "cleanup.h"
#include "error.h"
#include "sys.h"

int kl_openat2(int dir, const char *path, uint64_t flags, uint64_t resolve, kl_error *err) {
    const int fd = sys_openat2(dir, path, flags | O_CLOEXEC, resolve);
    return fd >= 0 ? fd : kl_fail(err, errno, "open", "%s", path);
}

int kl_clone_mounts(int fd, kl_error *err) {
    const int mount =
        sys_open_tree(fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
    return mount >= 0 ? mount : kl_fail(err, errno, "clone mounts", "descriptor %d", fd);
}

int kl_setns(int namespace, int type, kl_error *err) {
    return setns(namespace, type) == 0 ? 0 : kl_fail(err, errno, "enter namespace", "%#x", type);
}

int kl_unshare(int flags, kl_error *err) {
    return unshare(flags) == 0 ? 0 : kl_fail(err, errno, "make namespace", "%#x", flags);
}

void kl_populate(const uint64_t *ranges, size_t count) {
    for (size_t i = 0; i < count; i++)
        (void)madvise((void *)ranges[2 * i], ranges[2 * i + 1], MADV_POPULATE_WRITE);
}

int kl_syncfs(int fd, kl_error *err) {
    return syncfs(fd) == 0 ? 0 : kl_fail(err, errno, "flush file system", "descriptor %d", fd);
}

int kl_inotify(int fd, const char *path, uint32_t mask, kl_error *err) {
    SCOPED_FD created = fd < 0 ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;
    if (fd < 0 && created < 0)
        return kl_fail(err, errno, "make inotify instance", "%s", path);
    const int number = inotify_add_watch(fd < 0 ? created : fd, path, mask);
    if (number < 0)
        return kl_fail(err, errno, "watch", "%s", path);
    return fd < 0 ? kl_steal_fd(&created) : number;
}
