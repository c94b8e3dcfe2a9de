#include "reap.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "cleanup.h"
#include "shim/streams/attach.h"
#include "shim/streams/clock.h"
#include "ending.h"
#include "exits.h"
#include "start.h"
#include "shim/streams/stdio.h"

static int exits_dir = -1;

void reap_set_exits_dir(int exits) {
    exits_dir = exits;
}

static void set_status(struct state_entry *entry, int status) {
    entry->state = PROCESS_EXITED;
    entry->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    entry->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    entry->finished_at = clock_wall();
}

static bool has_session(const struct process *process) {
    for (const struct conn *conn = conns; conn; conn = conn->next)
        if (conn->process == process && conn->session)
            return true;
    return false;
}

/* Streams may outlive the process; then the entry stays for them, hidden from clients. */
static void release(struct process *process) {
    process->acknowledged = true;
    if (!stdio_is_open(process))
        process_remove(process);
}

static void notify_waiters(struct process *process) {
    struct waiter *waiter;
    while ((waiter = process_next_waiter(process, true)) != NULL) {
        conn_send(waiter->conn, MSG_EXITED, 0, waiter->seq, &process->entry, sizeof process->entry,
                  -1);
        free(waiter);
    }
    attach_exited(process);
}

/* The exit of an exec session concerns its client only, who is told: no file is written. */
static void record_exit(struct process *process, int status) {
    const bool pause = process->entry.role == SPAWN_PAUSE,
               private = process->orphaned || has_session(process);
    stdio_drain(process);
    set_status(&process->entry, status);
    loop_close(&process->input);
    kl_close_scoped(&process->pidfd);
    process->pidfd = -1;
    process->recorded = private || exits_write(exits_dir, &process->entry) == 0;
    notify_waiters(process);
    /* Nobody reads what processes left by an exec write; a container's streams stay open while
     * held. */
    if (process->entry.role == SPAWN_EXEC)
        stdio_close(process);
    if (private)
        release(process);
    if (pause)
        ending_begin(NULL, 0);
}

/* A full disk may have prevented an exit file; the exit is still in the table. */
static void retry_unrecorded_exits(void) {
    for (struct process *process = processes; process; process = process->next)
        if (process->entry.state == PROCESS_EXITED && !process->acknowledged && !process->recorded)
            process->recorded = exits_write(exits_dir, &process->entry) == 0;
}

void reap_all(void) {
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        struct process *process = process_by_pid(info.si_pid);
        int status = 0;
        /* Its last messages first, while the pid cannot be reused. */
        if (process)
            start_read(process);
        waitpid(info.si_pid, &status, 0);
        if (process && !start_finish_failed(process))
            record_exit(process, status);
        info.si_pid = 0;
    }
    retry_unrecorded_exits();
}

void reap_acknowledge(const char *id, struct process *process) {
    exits_remove(exits_dir, id);
    if (process)
        release(process);
}
