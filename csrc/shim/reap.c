#include "reap.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "../cleanup.h"
#include "attach.h"
#include "clock.h"
#include "ending.h"
#include "exits.h"
#include "start.h"
#include "stdio.h"

static int exits_dir = -1;

void reap_into(int exits) {
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

/* The streams may outlive the process; the entry then waits for them, out of sight. */
static void forget(struct process *process) {
    process->gone = true;
    if (!stdio_is_open(process))
        process_remove(process);
}

static void tell(struct process *process) {
    struct waiter *waiter;
    while ((waiter = process_next_waiter(process, true)) != NULL) {
        conn_send(waiter->conn, MSG_EXITED, 0, waiter->seq, &process->entry, sizeof process->entry, -1);
        free(waiter);
    }
    attach_exited(process);
}

/* An exec session's exit belongs to its caller, who is told; nobody else will ever take note of it. */
static void has_ended(struct process *process, int status) {
    const bool pause = process->entry.role == SPAWN_PAUSE, private = process->unwatched || has_session(process);
    stdio_drain(process);
    set_status(&process->entry, status);
    loop_close(&process->input);
    kl_close_scoped(&process->pidfd);
    process->pidfd = -1;
    process->recorded = private || exits_write(exits_dir, &process->entry) == 0;
    tell(process);
    /* What an exec left behind has nobody to write to; a container's streams are open while anybody holds them. */
    if (process->entry.role == SPAWN_EXEC)
        stdio_close(process);
    if (private)
        forget(process);
    if (pause)
        ending_begin(NULL, 0);
}

/* A full disk may have kept an exit from being recorded; it is still here. */
static void record_missed(void) {
    for (struct process *process = processes; process; process = process->next)
        if (process->entry.state == PROCESS_EXITED && !process->gone && !process->recorded)
            process->recorded = exits_write(exits_dir, &process->entry) == 0;
}

void reap_all(void) {
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        struct process *process = process_of(info.si_pid);
        int status = 0;
        /* First what it said before it ended, while its pid is still its own. */
        if (process)
            start_hear(process);
        waitpid(info.si_pid, &status, 0);
        if (process && !start_failed(process))
            has_ended(process, status);
        info.si_pid = 0;
    }
    record_missed();
}

void reap_acknowledge(const char *id, struct process *process) {
    exits_remove(exits_dir, id);
    if (process)
        forget(process);
}
