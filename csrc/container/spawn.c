#include "spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "child.h"
#include "cleanup.h"
#include "fdpass.h"
#include "prepared.h"
#include "sys.h"
#include "userns.h"

/* argv or envp: pointers into the plan's strings, ended by NULL. */
static char **collect(const struct plan *plan, enum plan_section section, kl_error *err) {
    uint32_t count;
    const uint32_t *items = plan_items(plan, section, &count);
    char **list = calloc((size_t)count + 2, sizeof *list);
    if (!list) {
        kl_fail(err, ENOMEM, "prepare start", "%u strings", count);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++)
        list[i] = (char *)plan_string(plan, items[i]);
    return list;
}

static int check_request(const struct spawn_request *request, kl_error *err) {
    uint32_t args;
    const struct plan_head *head = request->plan->head;
    plan_items(request->plan, PLAN_ARGS, &args);
    if (args == 0 && request->role != SPAWN_PAUSE)
        return kl_fail(err, EINVAL, "check start", "no command");
    if (request->role == SPAWN_PAUSE &&
        (request->program_fd < 0 || head->join_ns || head->flags & PLAN_TERMINAL))
        return kl_fail(err, EINVAL, "check start", "pause joins nothing");
    if (head->join_ns && request->anchor < 0)
        return kl_fail(err, ESRCH, "check start", "nothing to join");
    return 0;
}

/* Whether a container joins the user namespace of its pod. (An exec joins the mount namespace too,
 * and has nothing to prepare.) */
static bool joins_userns(const struct plan_head *head) {
    return head->join_ns & CLONE_NEWUSER && head->new_ns & CLONE_NEWNS;
}

/* The child itself unshares the cgroup namespace, after it has entered its cgroups, and a mount
 * namespace that belongs to a joined user namespace, after it has joined that. */
static uint64_t clone_flags(const struct plan_head *head) {
    const uint64_t later = CLONE_NEWCGROUP | (joins_userns(head) ? CLONE_NEWNS : 0);
    return (head->new_ns & ~later) | CLONE_PIDFD;
}

/* clone3 may be missing or forbidden (an outer seccomp filter answers ENOSYS): clone does the same
 * without the cgroup. */
static pid_t clone_child(struct child *child, int *pidfd) {
    const struct plan_head *head = child->request->plan->head;
    struct clone_args args = {
        .flags = clone_flags(head), .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD};
    if (head->cgroup_fd != PLAN_NO_FD) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)child->request->fds[head->cgroup_fd];
    }
    child->in_cgroup = head->cgroup_fd != PLAN_NO_FD;
    pid_t pid = sys_clone3(&args);
    if (pid >= 0 || errno != ENOSYS)
        return pid;
    child->in_cgroup = false;
#ifdef __x86_64__
    return (pid_t)syscall(SYS_clone, clone_flags(head) | SIGCHLD, NULL, pidfd, NULL, 0);
#else
    return (pid_t)syscall(SYS_clone, clone_flags(head) | SIGCHLD, NULL, pidfd, 0, NULL);
#endif
}

/* Between the two setns this process' children are born into the anchor's pid namespace. */
static pid_t clone_into_pid_namespace(struct child *child, int *pidfd, kl_error *err) {
    SCOPED_FD own = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return kl_fail(err, errno, "open", "/proc/self/ns/pid");
    if (setns(child->request->anchor, CLONE_NEWPID) < 0)
        return kl_fail(err, errno, "join namespaces", "pid");
    pid_t pid = clone_child(child, pidfd);
    if (pid == 0)
        child_run(child);
    int code = errno;
    /* All later children would be born in the container's namespace: aborting is better. */
    if (setns(own, CLONE_NEWPID) < 0)
        abort();
    return pid < 0 ? kl_fail(err, code, "clone", "container") : pid;
}

static pid_t clone_through_intermediate(struct child *child, int *pidfd, kl_error *err) {
    int ends[2];
    pid_t pid = -1;
    struct sync_packet packet;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return kl_fail(err, errno, "make pipe", "report");
    SCOPED_FD reading = ends[0], writing = ends[1];
    const pid_t intermediate = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (intermediate == 0)
        child_run_intermediate(child, writing);
    if (intermediate < 0)
        return kl_fail(err, errno, "clone", "container");
    kl_close_scoped(&writing);
    writing = -1;
    const bool born = read(reading, &pid, sizeof pid) == sizeof pid;
    waitpid(intermediate, NULL, 0);
    if (born)
        return (*pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0
                   ? kl_fail(err, errno, "open", "pidfd %d", pid)
                   : pid;
    if (recv(child->parent, &packet, sizeof packet, MSG_DONTWAIT) != sizeof packet)
        return kl_fail(err, ECHILD, "clone", "container");
    *err = packet.error;
    return -1;
}

int spawn_start(const struct spawn_request *request, struct spawned *out, kl_error *err) {
    int pair[2];
    if (check_request(request, err) < 0)
        return -1;
    SCOPED_MEM char **argv = collect(request->plan, PLAN_ARGS, err);
    SCOPED_MEM char **envp = collect(request->plan, PLAN_ENV, err);
    if (!argv || !envp)
        return -1;
    if (!argv[0])
        argv[0] = "pause";
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return kl_fail(err, errno, "make socket pair", "sync");
    SCOPED_FD ours = pair[0], theirs = pair[1];
    const struct plan_head *head = request->plan->head;
    SCOPED_MEM struct prepared *prepared = joins_userns(head) ? prepared_new(request->plan) : NULL;
    if (joins_userns(head) && !prepared)
        return kl_fail(err, ENOMEM, "prepare start", "mounts");
    struct child child = {request, argv, envp, theirs, ours, false, false, prepared};
    int pidfd = -1;
    pid_t pid;
    if (prepared && head->new_ns & CLONE_NEWPID) {
        pid = clone_through_intermediate(&child, &pidfd, err);
        if (pid < 0)
            return -1;
    } else if (request->plan->head->join_ns & CLONE_NEWPID) {
        pid = clone_into_pid_namespace(&child, &pidfd, err);
        if (pid < 0)
            return -1;
    } else {
        pid = clone_child(&child, &pidfd);
        if (pid == 0)
            child_run(&child);
        if (pid < 0)
            return kl_fail(err, errno, "clone", "new namespaces %#x", request->plan->head->new_ns);
    }
    fcntl(ours, F_SETFL, O_NONBLOCK);
    *out = (struct spawned){pid, pidfd, kl_steal_fd(&ours)};
    return 0;
}

static int write_map(pid_t pid, const char *file, const struct plan *plan,
                     enum plan_section section, kl_error *err) {
    char path[64], text[4096];
    uint32_t count;
    const struct plan_idmap *maps = plan_items(plan, section, &count);
    size_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        int size = snprintf(text + used, sizeof text - used, "%u %u %u\n", maps[i].inside,
                            maps[i].outside, maps[i].size);
        if (size < 0 || (size_t)size >= sizeof text - used)
            return kl_fail(err, E2BIG, "write id map", "%s", file);
        used += (size_t)size;
    }
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    SCOPED_FD fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, used) != (ssize_t)used)
        return kl_fail(err, errno, "write id map", "%s", path);
    return 0;
}

int spawn_continue(const struct spawned *child) {
    return send(child->sync, "", 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

static enum spawn_event send_id_maps(const struct spawned *child, const struct plan *plan,
                                     kl_error *err) {
    if (write_map(child->pid, "uid_map", plan, PLAN_UID_MAP, err) < 0 ||
        write_map(child->pid, "gid_map", plan, PLAN_GID_MAP, err) < 0)
        return SPAWN_FAILED;
    if (spawn_continue(child) < 0) {
        kl_fail(err, errno, "answer child", "id maps");
        return SPAWN_FAILED;
    }
    return SPAWN_WAIT;
}

enum spawn_event spawn_read(const struct spawned *child, const struct plan *plan, int *terminal,
                            kl_error *err) {
    struct sync_packet packet;
    struct received_fds received;
    ssize_t size = fdpass_receive(child->sync, &packet, sizeof packet, &received);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return SPAWN_WAIT;
    if (size == 0)
        return SPAWN_EXECED;
    if (size == sizeof packet && packet.message == SYNC_MAPS)
        return send_id_maps(child, plan, err);
    if (size == sizeof packet && packet.message == SYNC_TERMINAL && received.count == 1) {
        *terminal = received.fds[0];
        return SPAWN_TERMINAL;
    }
    fdpass_close(&received);
    if (size == sizeof packet && packet.message == SYNC_FAILED)
        *err = packet.error;
    else
        kl_fail(err, EPROTO, "read message of child", "%zd bytes", size);
    return SPAWN_FAILED;
}
