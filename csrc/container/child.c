/*
 * What a cloned child does before it executes the container's program: the steps of run_steps, in
 * that order. It cannot return to a caller: a failing step is reported over the sync socket, and
 * the child exits.
 */
#include "child.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "fdpass.h"
#include "creds.h"
#include "mount.h"
#include "procfs.h"
#include "switches.h"
#include "sys.h"
#include "terminal.h"
#include "userns.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The parent blocks all signals, and the program would inherit that. Only pause, which waits for
 * signals, keeps it: a signal before its first instruction would be lost, since it is a pid 1. */
static void unblock_signals(enum spawn_role role) {
    sigset_t none;
    sigemptyset(&none);
    if (role != SPAWN_PAUSE)
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Until exec this is a copy of the shim, and processes of a container that it joins could inspect
 * it and its program file through /proc (CVE-2019-5736). An undumpable process is accessible only
 * with CAP_SYS_PTRACE on the host. */
static int make_undumpable(kl_error *err) {
    if (defence_disabled("dumpable"))
        return 0;
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? kl_fail(err, errno, "make undumpable", "child")
                                                  : 0;
}

static int write_whole(int dir, const char *path, const char *text) {
    SCOPED_FD fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* A refusal is no reason to fail the pod: scores below 0 need CAP_SYS_RESOURCE. The caller's own
 * may be high, and 0 is the lowest without. */
static int set_oom_score(const struct plan_head *head, kl_error *err) {
    static const char file[] = "/proc/self/oom_score_adj";
    char text[16];
    if (!(head->flags & PLAN_OOM_SCORE))
        return 0;
    snprintf(text, sizeof text, "%d", head->oom_score_adj);
    int written = write_whole(AT_FDCWD, file, text);
    if (written < 0 && head->oom_score_adj < 0 && (errno == EACCES || errno == EPERM))
        written = write_whole(AT_FDCWD, file, "0");
    if (written < 0 && errno != EACCES && errno != EPERM)
        return kl_fail(err, errno, "set oom_score_adj", "%s", text);
    return 0;
}

/* "0" is the writer itself, and writing to v1 `tasks` spares the global lock that cgroup.procs
 * takes. */
static int enter_cgroups(const struct child *child, kl_error *err) {
    const struct plan *plan = child->request->plan;
    uint32_t count;
    const uint32_t *descriptors = plan_items(plan, PLAN_CGROUPS, &count);
    for (uint32_t i = 0; i < count; i++)
        if (write(child->request->fds[descriptors[i]], "0", 1) != 1)
            return kl_fail(err, errno, "enter cgroup", "%u", i);
    if (plan->head->cgroup_fd != PLAN_NO_FD && !child->in_cgroup &&
        write_whole(child->request->fds[plan->head->cgroup_fd], "cgroup.procs", "0") < 0)
        return kl_fail(err, errno, "enter cgroup", "cgroup.procs");
    return 0;
}

/* Joins the pod's user namespace and its other ones. What is needed of the host is opened
 * before. */
static int join_userns(const struct child *child, kl_error *err) {
    char path[64];
    const struct spawn_request *request = child->request;
    /* Before any process of the pod can see this one. */
    if (make_undumpable(err) < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/%d/ns/user", request->anchor_pid);
    SCOPED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return kl_fail(err, errno, "open", "%s", path);
    const struct userns userns = {fd, userns_first_id(request->anchor_pid)};
    if (unshare(CLONE_NEWNS) < 0)
        return kl_fail(err, errno, "make namespace", "mount");
    if (userns_prepare(request->plan, request->fds, &userns, child->prepared, err) < 0)
        return -1;
    const int join = (int)(request->plan->head->join_ns & ~(uint32_t)CLONE_NEWPID);
    return setns(request->anchor, join) < 0
               ? kl_fail(err, errno, "join namespaces", "%#x", (unsigned)join)
               : 0;
}

/* In a user namespace of the pod the mount namespace must belong to it, so it is made after
 * joining. */
static int join_userns_then_unshare(const struct child *child, kl_error *err) {
    if (join_userns(child, err) < 0)
        return -1;
    return unshare(CLONE_NEWNS) < 0 ? kl_fail(err, errno, "make namespace", "mount") : 0;
}

static int join_namespaces(const struct child *child, kl_error *err) {
    /* A pid namespace is entered by being born in it, which the parent has arranged. */
    const int join =
        child->joined ? 0 : (int)(child->request->plan->head->join_ns & ~(uint32_t)CLONE_NEWPID);
    if (join && child->prepared) {
        if (join_userns_then_unshare(child, err) < 0)
            return -1;
    } else if (join && setns(child->request->anchor, join) < 0)
        return kl_fail(err, errno, "join namespaces", "%#x", (unsigned)join);
    /* After the cgroups have been entered: the current ones become the roots of the namespace. */
    if (child->request->plan->head->new_ns & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
        return kl_fail(err, errno, "make namespace", "cgroup");
    return 0;
}

static int become_root(const struct child *child, kl_error *err) {
    struct sync_packet packet = {.message = SYNC_MAPS};
    char answer;
    const struct plan_head *head = child->request->plan->head;
    if (!((head->new_ns | head->join_ns) & CLONE_NEWUSER))
        return 0;
    if (head->new_ns & CLONE_NEWUSER &&
        (send(child->sync, &packet, sizeof packet, MSG_NOSIGNAL) < 0 ||
         recv(child->sync, &answer, 1, 0) != 1))
        return kl_fail(err, errno, "wait for id maps", "parent");
    if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
        return kl_fail(err, errno, "become root", "of the user namespace");
    return 0;
}

/* A new session and a new session keyring: the caller's keys must not be readable inside. */
static int leave_session(kl_error *err) {
    if (setsid() < 0 && errno != EPERM)
        return kl_fail(err, errno, "make session", "0");
    if (!defence_disabled("keyring") &&
        syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
        errno != EDQUOT)
        return kl_fail(err, errno, "make session keyring", "0");
    return 0;
}

static int set_names(const struct plan *plan, kl_error *err) {
    const char *host = plan_string(plan, plan->head->hostname),
               *domain = plan_string(plan, plan->head->domainname);
    if (*host && sethostname(host, strlen(host)) < 0)
        return kl_fail(err, errno, "set hostname", "%s", host);
    if (*domain && setdomainname(domain, strlen(domain)) < 0)
        return kl_fail(err, errno, "set domain name", "%s", domain);
    return 0;
}

/* Only a file of this very procfs is ever written, whatever the name (CVE-2025-52881). */
static int write_sysctl(int dir, const char *path, const char *value) {
    const uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    SCOPED_FD fd =
        sys_openat2(dir, path, O_WRONLY | O_CLOEXEC, defence_disabled("sysctls") ? 0 : resolve);
    return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : -1;
}

static int set_sysctls(const struct plan *plan, kl_error *err) {
    uint32_t count;
    const struct plan_sysctl *sysctls = plan_items(plan, PLAN_SYSCTLS, &count);
    if (count == 0)
        return 0;
    SCOPED_FD dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return kl_fail(err, errno, "open", "/proc/sys");
    for (uint32_t i = 0; i < count; i++)
        if (write_sysctl(dir, plan_string(plan, sysctls[i].path),
                         plan_string(plan, sysctls[i].value)) < 0)
            return kl_fail(err, errno, "set sysctl", "%.200s", plan_string(plan, sysctls[i].path));
    return 0;
}

static int enter_root(const struct child *child, kl_error *err) {
    const struct plan *plan = child->request->plan;
    if (plan->head->root_kind == PLAN_ROOT_KEEP)
        return 0;
    /* The mounts in pause's plan are the pod's volumes: the shim has mounted them already. */
    if (child->request->role == SPAWN_PAUSE) {
        struct plan_head bare = *plan->head;
        const struct plan empty = {&bare, plan->bytes};
        bare.sections[PLAN_MOUNTS].count = 0;
        SCOPED_FD root = mount_root(&empty, child->request->fds, NULL, err);
        return root < 0 ? -1 : mount_pivot(root, err);
    }
    SCOPED_FD root = mount_root(plan, child->request->fds, child->prepared, err);
    return root < 0 ? -1 : mount_pivot(root, err);
}

/* The parent answers once it has set the size of the terminal. */
static int send_terminal(int sync, int master, kl_error *err) {
    struct sync_packet packet = {.message = SYNC_TERMINAL};
    struct iovec body = {&packet, sizeof packet};
    char answer;
    if (fdpass_send(sync, &body, 1, master, 0) < 0 || recv(sync, &answer, 1, 0) != 1)
        return kl_fail(err, errno, "send terminal", "parent");
    return 0;
}

static int set_terminal(const struct child *child, kl_error *err) {
    SCOPED_FD master = -1;
    SCOPED_FD slave = terminal_open(child->request->plan->head->uid, &master, err);
    if (slave < 0)
        return -1;
    if (child->request->role == SPAWN_CONTAINER && mount_console(slave, err) < 0)
        return -1;
    return send_terminal(child->sync, master, err) < 0 ? -1 : terminal_set_stdio(slave, err);
}

static int set_stdio(const struct child *child, kl_error *err) {
    if (child->request->plan->head->flags & PLAN_TERMINAL)
        return set_terminal(child, err);
    /* Pause has no /dev in its root, and executes without stdio. */
    if (child->request->role == SPAWN_PAUSE)
        return 0;
    for (int fd = 0; fd < 3; fd++) {
        int source = child->request->stdio[fd];
        SCOPED_FD null =
            source < 0 ? open("/dev/null", (fd ? O_WRONLY : O_RDONLY) | O_CLOEXEC) : -1;
        if (source < 0 && null < 0)
            return kl_fail(err, errno, "open", "/dev/null");
        if (dup2(source < 0 ? null : source, fd) < 0)
            return kl_fail(err, errno, "set stdio", "%d", fd);
    }
    return 0;
}

/* A working directory outside the root would be a way to the host (CVE-2024-21626). */
static int enter_directory(const struct plan *plan, kl_error *err) {
    char current[4096];
    const char *cwd = plan_string(plan, plan->head->cwd);
    if (chdir(*cwd ? cwd : "/") < 0)
        return kl_fail(err, errno, "enter working directory", "%s", cwd);
    if (defence_disabled("directory"))
        return 0;
    if (!getcwd(current, sizeof current) || current[0] != '/')
        return kl_fail(err, EPERM, "check working directory", "%s", cwd);
    return 0;
}

/* Set after the ids, since the kernel clears it when they change; the parent may be dead by
 * then. */
static int set_parent_death_signal(int sync, kl_error *err) {
    struct pollfd peer = {.fd = sync, .events = POLLIN};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return kl_fail(err, errno, "set parent-death signal", "SIGKILL");
    if (poll(&peer, 1, 0) > 0 && peer.revents & POLLHUP)
        return kl_fail(err, ESRCH, "find parent", "shim");
    return 0;
}

static const char *search_path(char *const *envp) {
    for (; *envp; envp++)
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    return DEFAULT_PATH;
}

/* Executes argv[0], looked up in PATH as a shell would. Returns the errno: ENOENT when it does not
 * exist, EACCES when it may not be executed. */
static int execute(const struct child *child) {
    char candidate[4096];
    const char *name = child->argv[0];
    int worst = ENOENT;
    if (*name == '\0')
        return ENOENT;
    if (strchr(name, '/')) {
        execve(name, child->argv, child->envp);
        return errno;
    }
    for (const char *dir = search_path(child->envp); dir;
         dir = strchr(dir, ':') ? strchr(dir, ':') + 1 : NULL) {
        int size = (int)strcspn(dir, ":");
        if (snprintf(candidate, sizeof candidate, "%.*s/%s", size, size ? dir : ".", name) >=
            (int)sizeof candidate)
            continue;
        execve(candidate, child->argv, child->envp);
        if (errno == EACCES)
            worst = EACCES;
        else if (errno != ENOENT && errno != ENOTDIR)
            return errno;
    }
    return worst;
}

static int become_program(const struct child *child, kl_error *err) {
    /* Pause needs no stdio, and that of the shim is the host's /dev/null, which containers with the
     * pid namespace of pause could reach through /proc. */
    const bool close_stdio =
        child->request->role == SPAWN_PAUSE && !defence_disabled("pause_stdio");
    if (!defence_disabled("descriptors"))
        sys_close_range(close_stdio ? 0 : 3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (child->request->role == SPAWN_PAUSE) {
        syscall(SYS_execveat, child->request->program_fd, "", child->argv, child->envp,
                AT_EMPTY_PATH);
        return kl_fail(err, errno, "exec", "pause");
    }
    int code = execute(child);
    return kl_fail(err, code, "exec", "%s", child->argv[0]);
}

static int run_steps(const struct child *child, kl_error *err) {
    const struct plan *plan = child->request->plan;
    unblock_signals(child->request->role);
    if (make_undumpable(err) < 0 || creds_label(plan, err) < 0 ||
        set_oom_score(plan->head, err) < 0 || enter_cgroups(child, err) < 0 ||
        join_namespaces(child, err) < 0 || become_root(child, err) < 0 || leave_session(err) < 0 ||
        set_names(plan, err) < 0 || set_sysctls(plan, err) < 0 || enter_root(child, err) < 0 ||
        set_stdio(child, err) < 0 || creds_limits(plan, err) < 0)
        return -1;
    umask(plan->head->umask);
    if (enter_directory(plan, err) < 0 || creds_assume(plan, err) < 0 ||
        set_parent_death_signal(child->sync, err) < 0)
        return -1;
    return become_program(child, err);
}

void child_run(const struct child *child) {
    struct sync_packet packet = {.message = SYNC_FAILED};
    close(child->parent);
    leak_fd_for_test();
    run_steps(child, &packet.error);
    send(child->sync, &packet, sizeof packet, MSG_NOSIGNAL);
    _exit(127);
}

void child_run_intermediate(struct child *child, int report) {
    const struct plan_head *head = child->request->plan->head;
    struct sync_packet packet = {.message = SYNC_FAILED};
    const uint64_t flags = (head->new_ns & (CLONE_NEWPID | CLONE_NEWNS)) | CLONE_PARENT;
    if (join_userns(child, &packet.error) == 0) {
        const struct clone_args args = {.flags = flags};
        pid_t pid = sys_clone3(&args);
        if (pid < 0 && errno == ENOSYS)
            pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
        if (pid == 0) {
            child->joined = true;
            child_run(child);
        }
        if (pid > 0)
            _exit(write(report, &pid, sizeof pid) == sizeof pid ? 0 : 1);
        kl_fail(&packet.error, errno, "clone", "container");
    }
    send(child->sync, &packet, sizeof packet, MSG_NOSIGNAL);
    _exit(1);
}
