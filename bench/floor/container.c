/* One sandbox or container: the parent prepares and clones fork-style, the child sets itself up and
 * executes. Every descriptor is close-on-exec; the sync pipe is one of them, so its end of file is
 * the moment of the exec. */
#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIT(cap) (UINT64_C(1) << (cap))

/* The fourteen that Docker and containerd leave a container. */
static const uint64_t default_capabilities =
    BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) | BIT(CAP_MKNOD) |
    BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) |
    BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);

static const struct {
    const char *path;
    unsigned minor, major;
} nodes[] = {{"dev/null", 3, 1},   {"dev/zero", 5, 1},    {"dev/full", 7, 1},
             {"dev/random", 8, 1}, {"dev/urandom", 9, 1}, {"dev/tty", 0, 5}};

static const struct {
    const char *path, *target;
} links[] = {{"dev/fd", "/proc/self/fd"},
             {"dev/stdin", "/proc/self/fd/0"},
             {"dev/stdout", "/proc/self/fd/1"},
             {"dev/stderr", "/proc/self/fd/2"},
             {"dev/ptmx", "pts/ptmx"}};

static const char *const masked_files[] = {"proc/kcore",         "proc/keys",
                                           "proc/latency_stats", "proc/timer_list",
                                           "proc/timer_stats",   "proc/sched_debug"};
static const char *const masked_directories[] = {"proc/acpi", "proc/asound", "proc/scsi",
                                                 "sys/firmware", "sys/devices/virtual/powercap"};
static const char *const read_only[] = {"proc/bus", "proc/fs", "proc/irq", "proc/sys",
                                        "proc/sysrq-trigger"};

#define EACH(i, array) (size_t i = 0; i < sizeof(array) / sizeof *(array); i++)

/* ---- the child's side: no allocation, no return to the parent's code ---- */

static int report_to = -1;

struct report {
    int code;
    char step[60];
};

static _Noreturn void give_up(const char *step) {
    struct report r = {.code = errno};
    snprintf(r.step, sizeof r.step, "%s", step);
    ssize_t ignored = write(report_to, &r, sizeof r);
    (void)ignored;
    _exit(127);
}

static void must(long result, const char *step) {
    if (result < 0)
        give_up(step);
}

static void drop_capabilities(uint64_t keep) {
    for (int cap = 0; cap < 64; cap++)
        if (!(keep & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno != EINVAL)
                give_up("drop bounding set");
            break; /* past the kernel's last capability */
        }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    for (int i = 0; i < 2; i++)
        data[i].effective = data[i].permitted = (uint32_t)(keep >> (32 * i));
    must(syscall(SYS_capset, &header, data), "capset");
}

static void join(const struct process *sandbox, const struct membership *m) {
    must(setns(sandbox->pidfd, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "join the sandbox");
    for (size_t i = 0; i < m->ntasks; i++)
        must(write(m->tasks[i], "0", 1), "join a cgroup");
    must(unshare(CLONE_NEWCGROUP), "new cgroup namespace");
}

static void make_dev(const struct world *w) {
    must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=64k"),
         "mount /dev");
    umask(0);
    for
        EACH(i, nodes)
    must(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)),
         nodes[i].path);
    umask(022);
    for
        EACH(i, links)
    must(symlink(links[i].target, links[i].path), links[i].path);
    must(mkdir("dev/pts", 0755), "mkdir /dev/pts");
    must(mkdir("dev/shm", 0755), "mkdir /dev/shm");
    must(mkdir("dev/mqueue", 0755), "mkdir /dev/mqueue");
    must(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
               "newinstance,ptmxmode=0666,mode=0620,gid=5"),
         "mount /dev/pts");
    must(mount(w->shm, "dev/shm", NULL, MS_BIND, NULL), "bind /dev/shm");
    must(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL),
         "mount /dev/mqueue");
}

/* What this kernel does not have needs no hiding. */
static bool optional(int result, const char *path) {
    if (result < 0 && errno != ENOENT)
        give_up(path);
    return result == 0;
}

static void hide_paths(const struct world *w) {
    for
        EACH(i, masked_files)
    optional(mount("dev/null", masked_files[i], NULL, MS_BIND, NULL), masked_files[i]);
    for
        EACH(i, masked_directories)
    optional(mount(w->empty, masked_directories[i], NULL, MS_BIND, NULL), masked_directories[i]);
    for
        EACH(i, read_only)
    if (optional(mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL), read_only[i]))
        must(mount(NULL, read_only[i], NULL,
                   MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL),
             read_only[i]);
}

static void make_root(const struct world *w, const char *overlay) {
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
    must(mount("overlay", w->merged, "overlay", 0, overlay), "mount the root");
    must(chdir(w->merged), "enter the root");
    must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mount /proc");
    make_dev(w);
    must(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL),
         "mount /sys");
    must(mount(w->volume, "srv", NULL, MS_BIND | MS_REC, NULL), "mount the volume");
    hide_paths(w);
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "leave the old root");
    must(chdir("/"), "enter /");
}

static _Noreturn void execute(const char *program) {
    char *argv[] = {(char *)program, NULL};
    char *envp[] = {"PATH=/bin", NULL};
    execve(program, argv, envp);
    give_up(program);
}

static _Noreturn void be_container(const struct world *w, const struct process *sandbox,
                                   const struct membership *m, const char *overlay) {
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "parent-death signal");
    must(setsid(), "setsid");
    join(sandbox, m);
    make_root(w, overlay);
    drop_capabilities(default_capabilities);
    execute("/true");
}

static _Noreturn void be_sandbox(const struct world *w) {
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "parent-death signal");
    must(setsid(), "setsid");
    must(sethostname("floor", strlen("floor")), "hostname");
    drop_capabilities(0);
    execute(w->pause);
}

/* ---- the parent's side ---- */

static int shm_mount(const struct world *w) {
    if (mount("shm", w->shm, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m") < 0)
        return fail("mount", w->shm);
    return 0;
}

/* Clones; in the child returns 0, in the parent the pid. */
static pid_t start(struct process *p, uint64_t flags, int into) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail("pipe", "sync");
    struct clone_args args = {.flags = flags | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&p->pidfd,
                              .exit_signal = SIGCHLD};
    if (into >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)into;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
        report_to = ends[1];
        return 0;
    }
    int saved = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = saved;
        return fail("clone3", "a process");
    }
    p->pid = pid;
    p->sync = ends[0];
    return pid;
}

/* A process with new net, ipc and uts namespaces, and the pod's shared memory. Does not wait for
 * the exec. */
int sandbox_start(const struct world *w, struct process *p) {
    if (shm_mount(w) < 0)
        return -1;
    pid_t pid = start(p, CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, -1);
    if (pid == 0)
        be_sandbox(w);
    return pid < 0 ? -1 : 0;
}

/* The directories of overlay: WORK/upper<slot>/{u,w}. */
static int make_upper(const struct world *w, unsigned slot, char *options, size_t size) {
    char top[PATH_MAX + 32], path[PATH_MAX + 64];
    snprintf(top, sizeof top, "%s/upper%u", w->work, slot);
    if (mkdir(top, 0700) < 0)
        return fail("mkdir", top);
    snprintf(path, sizeof path, "%s/u", top);
    if (mkdir(path, 0755) < 0)
        return fail("mkdir", path);
    snprintf(path, sizeof path, "%s/w", top);
    if (mkdir(path, 0700) < 0)
        return fail("mkdir", path);
    int n =
        snprintf(options, size,
                 "lowerdir=%s,upperdir=%s/u,workdir=%s/w,index=off,metacopy=off,redirect_dir=off",
                 w->lower, top, top);
    return n >= (int)size ? (errno = ENAMETOOLONG, fail("overlay", top)) : 0;
}

/* A container in the sandbox; returns as soon as it is cloned. What it made (the cgroup, the upper
 * directory of its slot) is the caller's to remove, also after a failure. */
int container_start(const struct world *w, const struct cgroups *g, const struct process *sandbox,
                    const char *cgroup, unsigned slot, struct process *p) {
    struct membership m;
    char overlay[4096];
    pid_t pid = -1;
    if (cgroup_make_container(g, cgroup, &m) == 0 &&
        make_upper(w, slot, overlay, sizeof overlay) == 0)
        pid = start(p, CLONE_NEWPID | CLONE_NEWNS, m.into);
    if (pid == 0)
        be_container(w, sandbox, &m, overlay);
    membership_close(&m);
    return pid < 0 ? -1 : 0;
}

int process_wait_exec(struct process *p) {
    struct report r;
    ssize_t n;
    do
        n = read(p->sync, &r, sizeof r);
    while (n < 0 && errno == EINTR);
    close(p->sync);
    p->sync = -1;
    if (n == 0)
        return 0;
    errno = n == (ssize_t)sizeof r ? r.code : EPROTO;
    return fail("child", n == (ssize_t)sizeof r ? r.step : "sync pipe");
}

static void forget(struct process *p) {
    if (p->sync >= 0)
        close(p->sync);
    close(p->pidfd);
    *p = (struct process){.pidfd = -1, .sync = -1};
}

/* Waits for the end; -1 unless the program left with 0. */
int process_reap(struct process *p) {
    int status;
    pid_t pid;
    do
        pid = waitpid(p->pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    bool good = pid == p->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    forget(p);
    return good ? 0 : (errno = ECHILD, fail("wait", "container"));
}

/* Kills and reaps, if there is a process. */
int process_kill(struct process *p) {
    if (p->pid <= 0)
        return 0;
    int rc = (int)syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
    if (rc < 0 && errno != ESRCH)
        return fail("kill", "child");
    while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    forget(p);
    return 0;
}

int upper_remove(const struct world *w, unsigned slot) {
    static const char *const parts[] = {"/w/work", "/w", "/u", ""};
    int rc = 0;
    for
        EACH(i, parts) {
            char path[PATH_MAX + 64];
            snprintf(path, sizeof path, "%s/upper%u%s", w->work, slot, parts[i]);
            if (rmdir(path) < 0 && errno != ENOENT)
                rc = fail("rmdir", path);
        }
    return rc;
}
