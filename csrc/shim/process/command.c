#include "command.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

static struct {
    char **argv;
    int mounts;
} command;

void command_prepare(char **argv, int mounts) {
    command.argv = argv;
    command.mounts = mounts;
}

/* In the host's mount namespace, without blocked signals, sub-reaper, umask or descriptors of the
 * shim. */
void command_exec(void) {
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_IGN); /* discards a pending one */
        signal(number, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    umask(022);
    if (command.argv[0] && setns(command.mounts, CLONE_NEWNS) == 0 && chdir("/") == 0)
        execve(command.argv[0], command.argv, environ);
}

/* With the shim's parent as its own: what it leaves running would otherwise become a child of this
 * sub-reaper, which kills those at the end of the pod. */
void command_spawn(void) {
    if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL) != 0)
        return;
    setsid();
    command_exec();
    _exit(127);
}
