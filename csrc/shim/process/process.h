/* The processes of a pod as the shim knows them: pause, containers, exec sessions. */
#ifndef KL_SHIM_PROCESS_H
#define KL_SHIM_PROCESS_H

#include <stdbool.h>

#include "container/spawn.h"
#include "shim/conn.h"
#include "shim/loop.h"
#include "shim/protocol.h"

#define MAX_PROCESSES 512 /* one STATE answer holds as many */

/* One direction of output: a pipe's reading end, or the terminal's master as stream 1. */
struct stream {
    struct watch watch;
    struct process *process;
};

/* A connection that waits for an answer about a process. */
struct waiter {
    struct waiter *next;
    struct conn *conn;
    uint32_t seq;
    bool exit; /* waits for the exit, not for the start */
};

struct process {
    struct process *next;
    struct state_entry entry;
    uint64_t start_ticks;
    int pidfd;
    uint32_t flags;            /* enum start_flag */
    struct starting *starting; /* until the program runs, start.c */
    struct waiter *waiters;
    bool acknowledged; /* its exit is recorded by a client: only its streams are still open */
    bool orphaned;     /* an exec session whose client is gone: nobody will ask for its exit */
    bool recorded;     /* its exit file is written */
    bool terminal, new_net;
    struct stream streams[2];
    struct watch input;
    struct log *log;
};

extern struct process *processes;

/* A new entry in the table; NULL when the table is full or memory is. */
struct process *process_add(const char *id, uint32_t role);

/* Removes an entry and frees it with its streams and its log. */
void process_remove(struct process *process);

/* The process of that id, or NULL. */
struct process *process_find(const char *id);

/* The process with that pid which has not been reaped, or NULL. */
struct process *process_by_pid(pid_t pid);

/* Pause, if it runs. */
struct process *process_pause(void);

/* Whether anything besides pause is starting or running. */
bool process_has_members(void);

/* The entries of a STATE answer; returns how many. `out` has room for MAX_PROCESSES. */
uint32_t process_list(struct state_entry *out);

/* Has `conn` wait for the start or the exit; false when there is no memory for it. */
bool process_add_waiter(struct process *process, struct conn *conn, uint32_t seq, bool exit);

/* Removes and returns the next waiter of a kind, which the caller frees. NULL: there is none. */
struct waiter *process_next_waiter(struct process *process, bool exit);

/* Removes every waiter of a connection. */
void process_drop_waiters(const struct conn *conn);

/* Sends a signal; fails with ESRCH when the process has exited. */
int process_signal(const struct process *process, int number);

#endif
