#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "container/mount.h"
#include "container/userns.h"
#include "switches.h"
#include "shim/streams/attach.h"
#include "shim/streams/clock.h"
#include "ending.h"
#include "shim/streams/log.h"
#include "pause_image.h"
#include "procfs.h"
#include "shim/streams/stdio.h"

#define NEEDED_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define ALL_STREAMS 7u

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* The state of a process until its program runs. */
struct starting {
    struct watch sync;
    struct spawned child;
    struct plan plan;
    uint8_t *bytes;
    size_t size;
    uint16_t rows, columns;
    bool failed;
    kl_error error;
};

static void free_starting(struct process *process) {
    struct starting *starting = process->starting;
    if (!starting)
        return;
    loop_close(&starting->sync);
    if (starting->bytes)
        munmap(starting->bytes, starting->size);
    free(starting);
    process->starting = NULL;
}

/* Maps the sealed plan: the sender cannot change what is checked here before the child reads it. */
static int map_plan(struct starting *starting, int memfd, size_t descriptors, kl_error *err) {
    struct stat info;
    int seals = fcntl(memfd, F_GET_SEALS);
    if (seals < 0 || (seals & NEEDED_SEALS) != NEEDED_SEALS)
        return kl_fail(err, EPERM, "check launch plan", "seals");
    if (fstat(memfd, &info) < 0 || info.st_size <= 0 || info.st_size > (off_t)MAX_PLAN_SIZE)
        return kl_fail(err, EINVAL, "check launch plan", "size");
    void *bytes = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, memfd, 0);
    if (bytes == MAP_FAILED)
        return kl_fail(err, errno, "map launch plan", "%lld bytes", (long long)info.st_size);
    starting->bytes = bytes;
    starting->size = (size_t)info.st_size;
    return plan_open(bytes, starting->size, descriptors, &starting->plan, err);
}

/* MFD_EXEC is needed where vm.memfd_noexec is set; kernels before 6.3 refuse the flag. */
static int open_pause(kl_error *err) {
    const size_t size = (size_t)(pause_image_end - pause_image);
    SCOPED_FD memfd = memfd_create("kubelite-pause", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (memfd < 0 && errno == EINVAL)
        memfd = memfd_create("kubelite-pause", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memfd < 0 || write(memfd, pause_image, size) != (ssize_t)size || fchmod(memfd, 0555) < 0 ||
        (!defence_disabled("seals") && fcntl(memfd, F_ADD_SEALS, NEEDED_SEALS | F_SEAL_SEAL) < 0))
        return kl_fail(err, errno, "make program", "pause");
    return kl_steal_fd(&memfd);
}

/* Field 22 of /proc/PID/stat. The name in field 2 may hold anything, a closing parenthesis
 * included. */
static uint64_t read_start_ticks(pid_t pid) {
    char path[32], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    procfs_read(path, text, sizeof text);
    const char *cursor = strrchr(text, ')');
    for (int field = 2; cursor && field < 22; field++)
        cursor = strchr(cursor + 1, ' ');
    return cursor ? procfs_number(&cursor) : 0;
}

/* The process whose namespaces are joined: pause for a container, the target for an exec and for a
 * container that is to see another's processes. NULL for pause itself. */
static int find_anchor(const struct start_body *start, const struct process **anchor,
                       kl_error *err) {
    *anchor = NULL;
    if (start->role == SPAWN_PAUSE)
        return process_pause() ? kl_fail(err, EEXIST, "check start", "pause") : 0;
    const bool joins = start->role == SPAWN_EXEC || start->flags & START_TARGET;
    const struct process *process = joins ? process_find(start->target) : process_pause();
    if (!process || process->entry.state != PROCESS_RUNNING)
        return kl_fail(err, ESRCH, "find process to join", "%s", joins ? "container" : "pause");
    *anchor = process;
    return 0;
}

static void on_sync(struct watch *watch, uint32_t events) {
    (void)events;
    for (struct process *process = processes; process; process = process->next)
        if (process->starting && &process->starting->sync == watch) {
            start_read(process);
            return;
        }
}

static void close_ends(int ends[3]) {
    for (int i = 0; i < 3; i++)
        kl_close_scoped(&ends[i]);
}

/* The container's user may open /dev/stdout and /dev/stderr, which is opening the pipe anew. */
static void own_ends(const struct plan_head *head, const struct process *anchor,
                     const int ends[3]) {
    const bool mapped = anchor && head->join_ns & CLONE_NEWUSER;
    const uid_t owner = head->uid + (mapped ? userns_first_id(anchor->entry.pid) : 0);
    for (int i = 0; i < 3; i++)
        if (ends[i] >= 0)
            fchown(ends[i], owner, (gid_t)-1);
}

static int spawn(struct process *process, const struct start_body *start, const int *fds,
                 size_t nfds, const struct process *anchor, const int ends[3], kl_error *err) {
    struct starting *starting = process->starting;
    SCOPED_FD program = start->role == SPAWN_PAUSE ? open_pause(err) : -1;
    if (start->role == SPAWN_PAUSE && (program < 0 || mount_pod(&starting->plan, fds, err) < 0))
        return -1;
    const struct spawn_request request = {.role = start->role,
                                          .plan = &starting->plan,
                                          .fds = fds,
                                          .nfds = nfds,
                                          .anchor = anchor ? anchor->pidfd : -1,
                                          .anchor_pid = anchor ? anchor->entry.pid : 0,
                                          .program_fd = program,
                                          .stdio = {ends[0], ends[1], ends[2]}};
    own_ends(starting->plan.head, anchor, ends);
    if (spawn_start(&request, &starting->child, err) < 0)
        return -1;
    process->entry.pid = starting->child.pid;
    process->pidfd = starting->child.pidfd;
    process->start_ticks = read_start_ticks(starting->child.pid);
    if (loop_watch(&starting->sync, starting->child.sync, EPOLLIN, on_sync) == 0)
        return 0;
    starting->failed = true;
    kl_fail(&starting->error, errno, "watch", "child");
    process_signal(process, SIGKILL);
    return 0;
}

/* The part of a start that removing the process from the table undoes. */
static int begin(struct process *process, const struct start_body *start, const int *fds,
                 size_t nfds, kl_error *err) {
    int ends[3] = {-1, -1, -1};
    const struct process *anchor;
    const bool log = start->flags & START_LOG;
    if (find_anchor(start, &anchor, err) < 0)
        return -1;
    if (nfds < 1u + log)
        return kl_fail(err, EINVAL, "check start", "%zu descriptors", nfds);
    struct starting *starting = process->starting = calloc(1, sizeof *starting);
    if (!starting)
        return kl_fail(err, ENOMEM, "start", "process");
    starting->sync.fd = -1;
    starting->rows = start->rows;
    starting->columns = start->columns;
    process->flags = start->flags;
    if (map_plan(starting, fds[0], nfds - 1 - log, err) < 0)
        return -1;
    if (log) {
        int dir = fcntl(fds[nfds - 1], F_DUPFD_CLOEXEC, 0);
        process->log = log_open(dir, start->attempt, start->log_bytes, start->log_files, err);
        if (!process->log)
            return -1;
    }
    const bool pipes = start->role != SPAWN_PAUSE && !(starting->plan.head->flags & PLAN_TERMINAL);
    int done = pipes ? stdio_open(process, ends, err) : 0;
    if (done == 0)
        done = spawn(process, start, fds + 1, nfds - 1 - log, anchor, ends, err);
    close_ends(ends);
    return done;
}

static void answer(struct process *process, struct conn *conn, uint32_t seq, bool already) {
    char path[40];
    const struct started_body body = {.pid = process->entry.pid,
                                      .already = already,
                                      .start_ticks = process->start_ticks,
                                      .started_at = process->entry.started_at};
    SCOPED_FD netns = -1;
    if (process->new_net && process->entry.state == PROCESS_RUNNING) {
        snprintf(path, sizeof path, "/proc/%d/ns/net", process->entry.pid);
        netns = open(path, O_RDONLY | O_CLOEXEC);
    }
    conn_send(conn, MSG_STARTED, 0, seq, &body, sizeof body, netns);
}

int start_process(struct conn *conn, const struct message *message, const int *fds, size_t nfds,
                  kl_error *err) {
    const struct start_body *start = &message->start;
    struct process *process = process_find(start->id);
    if (process && !process->starting) {
        answer(process, conn, message->seq, true);
        return 0;
    }
    if (ending_begun())
        return kl_fail(err, ESHUTDOWN, "start", "the pod is being ended");
    if (start->flags & START_ATTACH && conn->process)
        return kl_fail(err, EBUSY, "attach", "this connection carries another process");
    const bool fresh = !process;
    if (fresh && !(process = process_add(start->id, start->role)))
        return kl_fail(err, EAGAIN, "start", "the pod has %d processes already", MAX_PROCESSES);
    if (!process_add_waiter(process, conn, message->seq, false))
        kl_fail(err, ENOMEM, "start", "process");
    else if (!fresh || begin(process, start, fds, nfds, err) == 0) {
        if (fresh && start->flags & START_ATTACH)
            attach_begin(conn, process, ALL_STREAMS, message->seq, true);
        return 0;
    }
    if (fresh) {
        free(process_next_waiter(process, false));
        free_starting(process);
        process_remove(process);
    }
    return -1;
}

static void mark_running(struct process *process) {
    struct waiter *waiter;
    process->new_net = process->starting->plan.head->new_ns & CLONE_NEWNET;
    free_starting(process);
    process->entry.state = PROCESS_RUNNING;
    process->entry.started_at = clock_wall();
    for (bool already = false; (waiter = process_next_waiter(process, false)) != NULL;
         already = true) {
        answer(process, waiter->conn, waiter->seq, already);
        free(waiter);
    }
    stdio_hold(process, false);
}

/* The error is sent when the child has been reaped: a failed start leaves nothing running. */
static void abort_start(struct process *process) {
    process->starting->failed = true;
    loop_close(&process->starting->sync);
    process_signal(process, SIGKILL);
}

static int adopt_terminal(struct process *process, int terminal) {
    struct starting *starting = process->starting;
    if (stdio_adopt_terminal(process, terminal, starting->rows, starting->columns,
                             &starting->error) < 0)
        return -1;
    if (spawn_continue(&starting->child) < 0)
        return kl_fail(&starting->error, errno, "answer child", "terminal");
    return 0;
}

void start_read(struct process *process) {
    struct starting *starting = process->starting;
    int terminal = -1;
    while (starting && !starting->failed)
        switch (spawn_read(&starting->child, &starting->plan, &terminal, &starting->error)) {
        case SPAWN_WAIT:
            return;
        case SPAWN_TERMINAL:
            if (adopt_terminal(process, terminal) < 0)
                abort_start(process);
            break;
        case SPAWN_EXECED:
            mark_running(process);
            return;
        case SPAWN_FAILED:
            abort_start(process);
            return;
        }
}

bool start_finish_failed(struct process *process) {
    struct waiter *waiter;
    if (!process->starting)
        return false;
    while ((waiter = process_next_waiter(process, false)) != NULL) {
        conn_send_error(waiter->conn, waiter->seq, &process->starting->error);
        free(waiter);
    }
    while ((waiter = process_next_waiter(process, true)) != NULL) {
        conn_send_error(waiter->conn, waiter->seq, &process->starting->error);
        free(waiter);
    }
    for (struct conn *conn = conns; conn; conn = conn->next)
        if (conn->process == process)
            attach_leave(conn, false);
    free_starting(process);
    process_remove(process);
    return true;
}
