/*
 * The shim: parent of every process of one pod. It starts processes on request, owns their streams,
 * writes their logs, keeps their exits, and outlives its launcher.
 *
 *   kubelite-shim UID CARE-COMMAND...
 *
 * Descriptors: 3 the listening socket, 4 a first connection, 5 the directory of exit files. One
 * thread, one loop.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/process/care.h"
#include "shim/process/command.h"
#include "shim/process/ending.h"
#include "loop.h"
#include "shim/process/reap.h"
#include "server.h"

enum { LISTENER = 3, FIRST_CONNECTION = 4, EXITS = 5 };

static struct watch signals_watch;

static void on_signal(struct watch *watch, uint32_t events) {
    struct signalfd_siginfo info;
    (void)events;
    while (read(watch->fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGTERM)
            ending_begin(NULL, 0);
    reap_all();
}

/* A shim is ended through its socket or by SIGTERM; every other signal is ignored. All are blocked
 * and read from a signalfd, so that children are born with default handlers. */
static int watch_signals(void) {
    sigset_t all;
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    int fd = signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
    return fd < 0 ? -1 : loop_watch(&signals_watch, fd, EPOLLIN, on_signal);
}

/* A mount namespace of its own for the pod's memory volumes. Mounts made here are not seen outside;
 * an unmount on the host propagates here, or a shim would keep every file system of the host busy.
 * Returns a descriptor of the host's namespace. */
static int unshare_mounts(void) {
    int host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (host < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return -1;
    return host;
}

static int init_process(void) {
    for (int fd = LISTENER; fd <= EXITS; fd++)
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
            return -1;
    umask(0);
    prctl(PR_SET_NAME, "kubelite-shim", 0, 0, 0);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || loop_open() < 0 || watch_signals() < 0)
        return -1;
    return unshare_mounts();
}

int main(int argc, char **argv) {
    int mounts = argc < 2 ? -1 : init_process();
    if (mounts < 0)
        return 1;
    command_prepare(argv + 2, mounts);
    care_prepare(argv[1], EXITS);
    reap_set_exits_dir(EXITS);
    if (server_open(LISTENER, FIRST_CONNECTION) < 0)
        return 1;
    for (;;) {
        server_sweep();
        ending_step();
        care_step();
        loop_turn(ending_begun() ? ending_timeout() : care_timeout());
    }
}
