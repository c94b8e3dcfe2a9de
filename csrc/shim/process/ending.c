#include "ending.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "process.h"
#include "procfs.h"

#define KILL_TIMEOUT                                                                               \
    10 /* seconds to wait for killed processes: an uninterruptible sleep may last for ever */

static struct {
    char **command;
    int mounts;
    bool begun, asked;
    struct conn *conn;
    uint32_t seq;
    time_t deadline;
} ending;

static time_t seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void ending_prepare(char **command, int mounts) {
    ending.command = command;
    ending.mounts = mounts;
}

void ending_begin(struct conn *conn, uint32_t seq) {
    if (!ending.begun)
        ending.deadline = seconds() + KILL_TIMEOUT;
    ending.begun = true;
    if (!conn)
        return;
    ending.asked = true;
    ending.conn = conn;
    ending.seq = seq;
}

bool ending_begun(void) {
    return ending.begun;
}

void ending_drop(const struct conn *conn) {
    if (ending.conn == conn)
        ending.conn = NULL;
}

static bool is_late(void) {
    return seconds() >= ending.deadline;
}

int ending_timeout(void) {
    return ending.begun ? 1000 : -1;
}

/* Kills the children that are not in the table: orphans of the pod that this sub-reaper
 * inherited. */
static bool kill_orphans(void) {
    char text[4096];
    bool found = false;
    procfs_read("/proc/thread-self/children", text, sizeof text);
    for (const char *cursor = text;;) {
        const pid_t pid = (pid_t)procfs_number(&cursor);
        /* Every number is followed by a blank: one at the very end may have been cut. */
        if (pid == 0 || *cursor != ' ')
            return found;
        if (!process_by_pid(pid))
            found = kill(pid, SIGKILL) == 0 || found;
    }
}

static bool kill_members(void) {
    for (const struct process *process = processes; process; process = process->next)
        if (process->entry.role != SPAWN_PAUSE)
            process_signal(process, SIGKILL);
    return process_has_members();
}

static bool kill_pause(void) {
    bool found = false;
    for (const struct process *process = processes; process; process = process->next)
        if (process->entry.role == SPAWN_PAUSE && process_signal(process, SIGKILL) == 0)
            found = true;
    return found;
}

/* The clean-up command is an ordinary process of the host: in its mount namespace, without blocked
 * signals, sub-reaper or descriptors. */
static void exec_cleanup(void) {
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_IGN); /* discards a pending one */
        signal(number, SIG_DFL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    if (ending.command[0] && setns(ending.mounts, CLONE_NEWNS) == 0 && chdir("/") == 0)
        execve(ending.command[0], ending.command, environ);
}

void ending_step(void) {
    if (!ending.begun)
        return;
    const bool members = kill_members(), orphans = kill_orphans();
    if ((members || orphans) && !is_late())
        return;
    if (kill_pause() && !is_late())
        return;
    if (ending.conn)
        conn_send(ending.conn, MSG_OK, 0, ending.seq, NULL, 0, -1);
    if (!ending.asked)
        exec_cleanup();
    _exit(0);
}
