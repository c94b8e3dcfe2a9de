#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cleanup.h"
#include "shim/streams/log.h"

struct process *processes;

struct process *process_add(const char *id, uint32_t role) {
    uint32_t count = 0;
    struct process **end = &processes;
    for (; *end; end = &(*end)->next)
        count++;
    struct process *process = count < MAX_PROCESSES ? calloc(1, sizeof *process) : NULL;
    if (!process)
        return NULL;
    memcpy(process->entry.id, id, ID_SIZE);
    process->entry.role = role;
    process->entry.state = PROCESS_STARTING;
    process->pidfd = process->input.fd = -1;
    for (int i = 0; i < 2; i++) {
        process->streams[i].watch.fd = -1;
        process->streams[i].process = process;
    }
    *end = process;
    return process;
}

void process_remove(struct process *process) {
    struct process **slot = &processes;
    while (*slot != process)
        slot = &(*slot)->next;
    *slot = process->next;
    for (int i = 0; i < 2; i++)
        loop_close(&process->streams[i].watch);
    loop_close(&process->input);
    kl_close_scoped(&process->pidfd);
    log_close(process->log);
    free(process);
}

struct process *process_find(const char *id) {
    for (struct process *process = processes; process; process = process->next)
        if (!process->acknowledged && memcmp(process->entry.id, id, ID_SIZE) == 0)
            return process;
    return NULL;
}

static bool is_alive(const struct process *process) {
    return !process->acknowledged && process->entry.pid > 0 &&
           process->entry.state != PROCESS_EXITED;
}

struct process *process_by_pid(pid_t pid) {
    for (struct process *process = processes; process; process = process->next)
        if (is_alive(process) && process->entry.pid == pid)
            return process;
    return NULL;
}

struct process *process_pause(void) {
    for (struct process *process = processes; process; process = process->next)
        if (process->entry.role == SPAWN_PAUSE && process->entry.state == PROCESS_RUNNING)
            return process;
    return NULL;
}

bool process_has_members(void) {
    for (const struct process *process = processes; process; process = process->next)
        if (process->entry.role != SPAWN_PAUSE && is_alive(process))
            return true;
    return false;
}

uint32_t process_list(struct state_entry *out) {
    uint32_t count = 0;
    for (const struct process *process = processes; process; process = process->next)
        if (!process->acknowledged) {
            out[count] = process->entry;
            out[count++].lost = log_lost(process->log);
        }
    return count;
}

bool process_add_waiter(struct process *process, struct conn *conn, uint32_t seq, bool exit) {
    struct waiter **end = &process->waiters, *waiter = malloc(sizeof *waiter);
    if (!waiter)
        return false;
    while (*end)
        end = &(*end)->next;
    *waiter = (struct waiter){NULL, conn, seq, exit};
    *end = waiter;
    return true;
}

struct waiter *process_next_waiter(struct process *process, bool exit) {
    for (struct waiter **slot = &process->waiters; *slot; slot = &(*slot)->next)
        if ((*slot)->exit == exit) {
            struct waiter *found = *slot;
            *slot = found->next;
            return found;
        }
    return NULL;
}

void process_drop_waiters(const struct conn *conn) {
    for (struct process *process = processes; process; process = process->next)
        for (struct waiter **slot = &process->waiters; *slot;) {
            struct waiter *waiter = *slot;
            if (waiter->conn == conn) {
                *slot = waiter->next;
                free(waiter);
            } else {
                slot = &waiter->next;
            }
        }
}

int process_signal(const struct process *process, int number) {
    if (!is_alive(process)) {
        errno = ESRCH;
        return -1;
    }
    return (int)syscall(SYS_pidfd_send_signal, process->pidfd, number, NULL, 0);
}
