/* The processes of a pod as the shim knows them: pause, containers, exec sessions. */
#ifndef KL_SHIM_PROCESS_H
#define KL_SHIM_PROCESS_H

#include <stdbool.h>

#include "../spawn.h"
#include "conn.h"
#include "loop.h"
#include "protocol.h"

#define PROCESS_MOST 512 /* as many as one STATE answer holds */

/* One direction of output: a pipe's reading end, or the terminal's master as stream 1. */
struct stream {
    struct watch watch;
    struct process *process;
};

/* Somebody who is owed an answer about a process. */
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
    bool gone;      /* its exit has been taken note of: only its streams are still open */
    bool unwatched; /* an exec session whose caller is lost: nobody will ask how it ended */
    bool recorded;  /* its exit file is written */
    bool terminal, new_net;
    struct stream streams[2];
    struct watch input;
    struct log *log;
};

extern struct process *processes;

/* A new entry in the table; NULL when the table is full or memory is. */
struct process *process_add(const char *id, uint32_t role);

/* Takes an entry out and frees it with its streams and its log. */
void process_remove(struct process *process);

/* The process of that id, or NULL. */
struct process *process_find(const char *id);

/* The process with that pid which has not been reaped, or NULL. */
struct process *process_of(pid_t pid);

/* Pause, if it runs. */
struct process *process_pause(void);

/* Whether anything besides pause is starting or running. */
bool process_members(void);

/* Everything as STATE tells it; returns how many entries. `out` has room for PROCESS_MOST. */
uint32_t process_list(struct state_entry *out);

/* Owes `conn` an answer; false when there is no memory for it. */
bool process_await(struct process *process, struct conn *conn, uint32_t seq, bool exit);

/* Takes the next waiter of a kind out of the list; the caller frees it. NULL when there is none. */
struct waiter *process_next_waiter(struct process *process, bool exit);

/* Forgets what is owed to a connection. */
void process_drop_waiters(const struct conn *conn);

/* Sends a signal; fails with ESRCH when the process has ended. */
int process_signal(const struct process *process, int number);

#endif
