#include "ending.h"

#include <signal.h>
#include <unistd.h>

#include "command.h"
#include "process.h"
#include "procfs.h"
#include "shim/streams/clock.h"

/* How long to wait for killed processes: an uninterruptible sleep may last for ever. */
#define KILL_TIMEOUT (10 * NANOSECONDS)

static struct {
    bool begun, asked;
    struct conn *conn;
    uint32_t seq;
    uint64_t deadline;
} ending;

void ending_begin(struct conn *conn, uint32_t seq) {
    if (!ending.begun)
        ending.deadline = clock_monotonic() + KILL_TIMEOUT;
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
    return clock_monotonic() >= ending.deadline;
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
        command_exec();
    _exit(0);
}
