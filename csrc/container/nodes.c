#include "nodes.h"

#include <errno.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "detached.h"
#include "sys.h"

int nodes_open(int place, kl_error *err) {
    SCOPED_FD fs = detached_new("tmpfs", "mode=0755", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, err);
    if (fs < 0)
        return -1;
    /* Before Linux 6.15 only what is attached can be cloned. */
    if (sys_attach(fs, place) < 0)
        return kl_fail(err, errno, "attach mount", "device nodes");
    return kl_steal_fd(&fs);
}

int nodes_make(int fs, const char *name, mode_t mode, dev_t device, kl_error *err) {
    if ((S_ISDIR(mode) ? mkdirat(fs, name, mode) : mknodat(fs, name, mode, device)) < 0)
        return kl_fail(err, errno, "make device", "%s", name);
    const int mount = sys_open_tree(fs, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    return mount >= 0 ? mount : kl_fail(err, errno, "clone device", "%s", name);
}

int nodes_close(int fs, kl_error *err) {
    if (fchdir(fs) < 0 || sys_umount(".", SYS_UMOUNT_DETACH) < 0 || chdir("/") < 0)
        return kl_fail(err, errno, "detach mount", "device nodes");
    return 0;
}
