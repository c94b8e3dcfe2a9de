/*
 * Starts a shim. The caller may be a large Python process with threads, and fork would copy its
 * page tables. So both processes here share its memory until they execute or exit, which is waited
 * for:
 *
 *   caller -- intermediate (shares memory and descriptors) -- shim (shares memory, copies
 * descriptors)
 *
 * The intermediate process exits at once, which reparents the shim to init. Nothing is allocated
 * after the first clone.
 */
#include "error.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "sys.h"

#define STACK_SIZE 16384
#define FIRST_FD 3
#define MAX_FDS 16
#define MAX_FILES 1048576 /* as podman and containerd's service give */

struct launch {
    int program;
    char **argv, **envp;
    const int *fds;
    size_t count;
    pid_t pid;
    int pidfd;
    kl_error *err;
    bool failed;
    char intermediate_stack[STACK_SIZE] __attribute__((aligned(16)));
    char shim_stack[STACK_SIZE] __attribute__((aligned(16)));
};

/* Pointers to the strings of a NUL-separated list, which ends with an empty string. */
static char **split(const char *strings, kl_error *err) {
    size_t count = 0;
    for (const char *at = strings; *at; at += strlen(at) + 1)
        count++;
    char **list = calloc(count + 1, sizeof *list);
    if (!list) {
        kl_fail(err, ENOMEM, "prepare launch", "%zu strings", count);
        return NULL;
    }
    for (size_t i = 0; i < count; i++, strings += strlen(strings) + 1)
        list[i] = (char *)strings;
    return list;
}

/* The caller's handlers must not run in shared memory: signals stay blocked until reset. */
static void reset_signals(void) {
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Moves all descriptors up first: the target of one may be the source of another. */
static int place_descriptors(struct launch *launch) {
    const int above = FIRST_FD + (int)launch->count;
    int moved[MAX_FDS];
    for (size_t i = 0; i < launch->count; i++)
        if ((moved[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, above)) < 0)
            return kl_fail(launch->err, errno, "place descriptor", "%d", launch->fds[i]);
    launch->program = fcntl(launch->program, F_DUPFD_CLOEXEC, above);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (launch->program < 0 || null < 0)
        return kl_fail(launch->err, errno, "place descriptor", "/dev/null");
    for (int fd = 0; fd < FIRST_FD; fd++)
        if (dup2(null, fd) < 0)
            return kl_fail(launch->err, errno, "place descriptor", "%d", fd);
    for (size_t i = 0; i < launch->count; i++)
        if (dup2(moved[i], FIRST_FD + (int)i) < 0)
            return kl_fail(launch->err, errno, "place descriptor", "%zu", FIRST_FD + i);
    if (sys_close_range((unsigned)above, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return kl_fail(launch->err, errno, "close descriptors", "from %d on", above);
    return 0;
}

/* The same file size, stack and number of processes whoever starts the pod, a shell with `ulimit`
 * or an agent: those of process 1. Where a hard limit cannot be raised it is the soft one's. */
static void reset_limits(void) {
    struct rlimit limit, own;
    for (int number = 0; number < RLIM_NLIMITS; number++) {
        if (prlimit(1, number, NULL, &limit) < 0)
            continue;
        if (number == RLIMIT_NOFILE) { /* systemd gives itself a thousand million */
            limit.rlim_cur = limit.rlim_cur < MAX_FILES ? limit.rlim_cur : MAX_FILES;
            limit.rlim_max = limit.rlim_max < MAX_FILES ? limit.rlim_max : MAX_FILES;
        }
        if (setrlimit(number, &limit) == 0 || getrlimit(number, &own) < 0)
            continue;
        limit.rlim_cur = limit.rlim_cur < own.rlim_max ? limit.rlim_cur : own.rlim_max;
        limit.rlim_max = limit.rlim_max < own.rlim_max ? limit.rlim_max : own.rlim_max;
        setrlimit(number, &limit);
    }
}

/* A pod that was started below `nice`, `taskset`, `chrt`, `ionice` or `setarch` runs as any other.
 * What the kernel refuses stays as it is. */
static void reset_scheduling(void) {
    const struct sched_param standard = {0};
    cpu_set_t processors;
    memset(&processors, 0xff, sizeof processors);
    sched_setscheduler(0, SCHED_OTHER, &standard);
    setpriority(PRIO_PROCESS, 0, 0);
    sched_setaffinity(0, sizeof processors, &processors);
    syscall(SYS_ioprio_set, 1 /* of a process */, 0, 0);
    prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0);
    personality(PER_LINUX);
}

static int become_shim(struct launch *launch) {
    if (setsid() < 0)
        return kl_fail(launch->err, errno, "make session", "shim");
    reset_limits();
    reset_scheduling();
    if (chdir("/") < 0)
        return kl_fail(launch->err, errno, "enter", "/");
    if (place_descriptors(launch) < 0)
        return -1;
    reset_signals();
    syscall(SYS_execveat, launch->program, "", launch->argv, launch->envp, AT_EMPTY_PATH);
    return kl_fail(launch->err, errno, "exec", "%s", launch->argv[0]);
}

static int run_shim(void *argument) {
    struct launch *launch = argument;
    become_shim(launch);
    launch->failed = true;
    _exit(127);
}

static int run_intermediate(void *argument) {
    struct launch *launch = argument;
    launch->pid = clone(run_shim, launch->shim_stack + STACK_SIZE,
                        CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, launch, &launch->pidfd);
    if (launch->pid < 0)
        kl_fail(launch->err, errno, "clone", "shim");
    else if (launch->failed)
        waitpid(launch->pid, NULL, 0);
    _exit(0);
}

/* Without an exit signal the caller's SIGCHLD handler does not notice the intermediate process. */
static int run(struct launch *launch) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t intermediate = clone(run_intermediate, launch->intermediate_stack + STACK_SIZE,
                               CLONE_VM | CLONE_VFORK | CLONE_FILES, launch);
    int code = errno;
    if (intermediate >= 0)
        while (waitpid(intermediate, NULL, __WCLONE) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return intermediate >= 0 ? 0 : kl_fail(launch->err, code, "clone", "launcher");
}

/* A container can have /proc/self/exe executed at its start, which is the shim's file, and then
 * write to it (CVE-2019-5736). Executed through a detached read-only mount, the file cannot be
 * opened for writing. */
static int readonly_clone(int program, kl_error *err) {
    const struct mount_attr change = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV,
                                      .propagation = MS_PRIVATE};
    SCOPED_FD mount =
        sys_open_tree(program, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (mount < 0)
        return kl_fail(err, errno, "clone mount of program", "shim");
    if (sys_mount_setattr(mount, 0, &change) < 0)
        return kl_fail(err, errno, "make program read-only", "shim");
    return kl_steal_fd(&mount);
}

int kl_shim_launch(int program, const char *argv, const char *envp, const int *fds, size_t count,
                   int *pidfd, kl_error *err) {
    SCOPED_MEM char **arguments = split(argv, err);
    SCOPED_MEM char **environment = split(envp, err);
    if (!arguments || !environment)
        return -1;
    if (!arguments[0] || count > MAX_FDS)
        return kl_fail(err, EINVAL, "prepare launch", "%zu descriptors", count);
    SCOPED_FD readonly = readonly_clone(program, err);
    if (readonly < 0)
        return -1;
    struct launch launch = {
        .program = readonly, .argv = arguments, .envp = environment, .fds = fds, .count = count};
    launch.err = err;
    launch.pid = launch.pidfd = -1;
    if (run(&launch) < 0)
        return -1;
    if (launch.pid < 0 || launch.failed) {
        kl_close_scoped(&launch.pidfd);
        return -1;
    }
    *pidfd = launch.pidfd;
    return launch.pid;
}
