#include "creds.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cleanup.h"
#include "switches.h"
#include "sys.h"

int creds_limits(const struct plan *plan, kl_error *err) {
    uint32_t count;
    const struct plan_rlimit *limits = plan_items(plan, PLAN_RLIMITS, &count);
    for (uint32_t i = 0; i < count; i++) {
        const struct rlimit limit = {limits[i].soft, limits[i].hard};
        if (setrlimit((int)limits[i].resource, &limit) < 0 && errno != EPERM)
            return kl_fail(err, errno, "set resource limit", "%u", limits[i].resource);
    }
    return 0;
}

int creds_label(const struct plan *plan, kl_error *err) {
    static const char *const files[PLAN_MODULES] = {
        [PLAN_APPARMOR] = "/proc/self/attr/apparmor/exec", [PLAN_SELINUX] = "/proc/self/attr/exec"};
    uint32_t count;
    const struct plan_label *labels = plan_items(plan, PLAN_LABELS, &count);
    for (uint32_t i = 0; i < count; i++) {
        const char *value = plan_string(plan, labels[i].value);
        SCOPED_FD fd = open(files[labels[i].module], O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || write(fd, value, strlen(value)) != (ssize_t)strlen(value))
            return kl_fail(err, errno, "set security label", "%.200s", value);
    }
    return 0;
}

static int load_filter(const struct plan *plan, kl_error *err) {
    uint32_t size;
    const void *filter = plan_items(plan, PLAN_FILTER, &size);
    const uint32_t flags = plan->head->flags;
    const unsigned how = (flags & PLAN_SECCOMP_LOG ? SECCOMP_FILTER_FLAG_LOG : 0) |
                         (flags & PLAN_SECCOMP_SPEC ? SECCOMP_FILTER_FLAG_SPEC_ALLOW : 0);
    struct sock_fprog program = {(unsigned short)(size / sizeof(struct sock_filter)),
                                 (struct sock_filter *)filter};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, how, &program) < 0)
        return kl_fail(err, errno, "load seccomp filter", "%u bytes", size);
    return 0;
}

/* EINVAL for a number past the kernel's last capability ends the bounding set. */
static int limit_bounding(uint64_t keep, kl_error *err) {
    for (unsigned cap = 0; cap < 64; cap++) {
        if (keep >> cap & 1)
            continue;
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                return 0;
            return kl_fail(err, errno, "drop capability", "%u", cap);
        }
    }
    return 0;
}

static int set_capabilities(const struct plan_head *head, kl_error *err) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    const uint64_t inheritable =
        defence_disabled("inheritable") ? head->permitted : head->inheritable;
    for (int half = 0; half < 2; half++) {
        data[half].effective = (uint32_t)(head->effective >> (32 * half));
        data[half].permitted = (uint32_t)(head->permitted >> (32 * half));
        data[half].inheritable = (uint32_t)(inheritable >> (32 * half));
    }
    if (syscall(SYS_capset, &header, data) < 0)
        return kl_fail(err, errno, "set capabilities", "%#llx",
                       (unsigned long long)head->permitted);
    for (unsigned cap = 0; cap < 64; cap++)
        if (head->ambient >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return kl_fail(err, errno, "raise ambient capability", "%u", cap);
    return 0;
}

/* Groups first, while that is still permitted; then checks that the kernel set the ids it was asked
 * for (CVE-2024-40635). */
static int set_ids(const struct plan *plan, kl_error *err) {
    uint32_t count;
    uid_t real, effective, saved;
    const uint32_t *groups = plan_items(plan, PLAN_GROUPS, &count);
    const uid_t uid = plan->head->uid;
    const gid_t gid = plan->head->gid;
    if (!defence_disabled("groups") && syscall(SYS_setgroups, count, groups) < 0)
        return kl_fail(err, errno, "set groups", "%u", count);
    if (syscall(SYS_setresgid, gid, gid, gid) < 0)
        return kl_fail(err, errno, "set group", "%u", gid);
    if (syscall(SYS_setresuid, uid, uid, uid) < 0)
        return kl_fail(err, errno, "set user", "%u", uid);
    if (defence_disabled("ids"))
        return 0;
    if (getresuid(&real, &effective, &saved) < 0 || real != uid || effective != uid || saved != uid)
        return kl_fail(err, EPERM, "check user", "%u", uid);
    return 0;
}

int creds_assume(const struct plan *plan, kl_error *err) {
    const struct plan_head *head = plan->head;
    const bool filtered = head->flags & PLAN_SECCOMP && !defence_disabled("filter");
    const bool no_new_privs = head->flags & PLAN_NO_NEW_PRIVS && !defence_disabled("privileges");
    const bool limited = head->flags & PLAN_CAPS && !defence_disabled("capabilities");
    if (limited && limit_bounding(head->bounding, err) < 0)
        return -1;
    /* Without no_new_privs a filter needs CAP_SYS_ADMIN, which set_capabilities drops. */
    if (filtered && !no_new_privs && load_filter(plan, err) < 0)
        return -1;
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return kl_fail(err, errno, "keep capabilities", "%u", head->uid);
    if (set_ids(plan, err) < 0)
        return -1;
    if (limited && set_capabilities(head, err) < 0)
        return -1;
    if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
        return kl_fail(err, errno, "keep capabilities", "%u", head->uid);
    if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return kl_fail(err, errno, "set no_new_privs", "%u", head->uid);
    return filtered && no_new_privs ? load_filter(plan, err) : 0;
}
