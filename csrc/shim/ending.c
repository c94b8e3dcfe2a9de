#include "ending.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "../cleanup.h"
#include "process.h"

#define PATIENCE 10 /* seconds for killed processes to be gone: one in an uninterruptible sleep may never be */

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
        ending.deadline = seconds() + PATIENCE;
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

/* Kills the children that the table does not know: orphans of the pod that were left to this sub-reaper. */
static bool kill_orphans(void) {
    char text[4096];
    bool found = false;
    SCOPED_FD fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text);
    for (ssize_t at = 0, pid = 0; at < size; at++) {
        if (text[at] >= '0' && text[at] <= '9') {
            pid = pid * 10 + (text[at] - '0');
            continue;
        }
        if (pid > 0 && !process_of((pid_t)pid))
            found = kill((pid_t)pid, SIGKILL) == 0 || found;
        pid = 0;
    }
    return found;
}

static bool kill_members(void) {
    for (const struct process *process = processes; process; process = process->next)
        if (process->entry.role != SPAWN_PAUSE)
            process_signal(process, SIGKILL);
    return process_members();
}

static bool kill_pause(void) {
    bool found = false;
    for (const struct process *process = processes; process; process = process->next)
        if (process->entry.role == SPAWN_PAUSE && process_signal(process, SIGKILL) == 0)
            found = true;
    return found;
}

/* The clean-up runs as an ordinary process of the host: its mounts, no blocked signal, no sub-reaper, no descriptor. */
static void become_cleanup(void) {
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_IGN); /* forgets one that is pending */
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
        become_cleanup();
    _exit(0);
}
