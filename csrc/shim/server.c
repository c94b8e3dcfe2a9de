#include "server.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fdpass.h"
#include "sys.h"
#include "shim/streams/attach.h"
#include "shim/process/care.h"
#include "shim/process/ending.h"
#include "message.h"
#include "shim/process/reap.h"
#include "shim/process/start.h"
#include "shim/streams/stdio.h"

static struct watch listener_watch;
static uint8_t packet[MAX_MSG_SIZE];

static void answer_ok(struct conn *conn, const struct message *message) {
    conn_send(conn, MSG_OK, 0, message->seq, NULL, 0, -1);
}

static int unknown(kl_error *err, const char *id) {
    return kl_fail(err, ENOENT, "find process", "%.64s", id);
}

static int do_hello(struct conn *conn, const struct message *message, kl_error *err) {
    const struct {
        uint32_t version;
        int32_t pid;
    } body = {SHIM_PROTOCOL, getpid()};
    if (message->version + 1 < SHIM_PROTOCOL || message->version == 0)
        return kl_fail(err, EPROTONOSUPPORT, "negotiate version", "version %u", message->version);
    conn_send(conn, MSG_HELLO, 0, message->seq, &body, sizeof body, -1);
    return 0;
}

static int do_signal(struct conn *conn, const struct message *message, kl_error *err) {
    const struct process *process = process_find(message->signal.id);
    if (!process)
        return unknown(err, message->signal.id);
    if (process_signal(process, message->signal.signal) < 0)
        return kl_fail(err, errno, "send signal", "%d", message->signal.signal);
    answer_ok(conn, message);
    return 0;
}

static int do_state(struct conn *conn, const struct message *message) {
    static struct state_entry entries[MAX_PROCESSES];
    uint32_t count = process_list(entries);
    conn_send(conn, MSG_STATE, 0, message->seq, entries, count * sizeof *entries, -1);
    return 0;
}

static int do_wait(struct conn *conn, const struct message *message, kl_error *err) {
    struct process *process = process_find(message->id);
    if (!process)
        return unknown(err, message->id);
    if (process->entry.state == PROCESS_EXITED)
        conn_send(conn, MSG_EXITED, 0, message->seq, &process->entry, sizeof process->entry, -1);
    else if (!process_add_waiter(process, conn, message->seq, true))
        return kl_fail(err, ENOMEM, "wait", "%.64s", message->id);
    return 0;
}

/* Idempotent: a client that was killed after the first ACK sends another. */
static int do_ack(struct conn *conn, const struct message *message, kl_error *err) {
    struct process *process = process_find(message->id);
    if (process && process->entry.state != PROCESS_EXITED)
        return kl_fail(err, EBUSY, "acknowledge exit", "%.64s", message->id);
    reap_acknowledge(message->id, process);
    answer_ok(conn, message);
    return 0;
}

static int do_attach(struct conn *conn, const struct message *message, kl_error *err) {
    const struct attach_body *attach = &message->attach;
    struct process *process = process_find(attach->id);
    if (!process)
        return unknown(err, attach->id);
    if (conn->process || process->entry.role == SPAWN_PAUSE)
        return kl_fail(err, conn->process ? EBUSY : EINVAL, "attach", "%.64s", attach->id);
    answer_ok(conn, message);
    if (process->entry.state == PROCESS_EXITED)
        conn_send(conn, MSG_EXITED, 0, message->seq, &process->entry, sizeof process->entry, -1);
    else
        attach_begin(conn, process, attach->streams, message->seq, false);
    return 0;
}

static int dispatch(struct conn *conn, const struct message *message,
                    const struct received_fds *received, kl_error *err) {
    switch (message->type) {
    case MSG_HELLO:
        return do_hello(conn, message, err);
    case MSG_START:
        return start_process(conn, message, received->fds, received->count, err);
    case MSG_SIGNAL:
        return do_signal(conn, message, err);
    case MSG_STATE:
        return do_state(conn, message);
    case MSG_WAIT:
        return do_wait(conn, message, err);
    case MSG_ACK:
        return do_ack(conn, message, err);
    case MSG_ATTACH:
        return do_attach(conn, message, err);
    case MSG_DATA:
        attach_input(conn, message->body, message->size);
        return 0;
    case MSG_END:
        attach_input_end(conn);
        return 0;
    case MSG_RESIZE:
        if (conn->process)
            stdio_resize(conn->process, message->window[0], message->window[1]);
        return 0;
    case MSG_DETACH:
        attach_leave(conn, false);
        return 0;
    case MSG_CARE:
        care_asked(conn, message->needed != 0);
        return 0;
    default: /* MSG_SHUTDOWN: message_read refuses all others */
        ending_begin(conn, message->seq);
        return 0;
    }
}

static void handle(struct conn *conn, size_t size, const struct received_fds *received) {
    struct message message;
    kl_error err = {0};
    if (!message_open(packet, size, &message)) {
        conn->dead = true;
        return;
    }
    if (received->truncated)
        kl_fail(&err, EMFILE, "receive message", "its descriptors");
    else if (message_read(&message, &err) == 0 && dispatch(conn, &message, received, &err) == 0)
        return;
    conn_send_error(conn, message.seq, &err);
}

static void receive(struct conn *conn) {
    struct received_fds received;
    ssize_t size = fdpass_receive(conn->watch.fd, packet, sizeof packet, &received);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size <= 0)
        conn->dead = true;
    else
        handle(conn, (size_t)size, &received);
    fdpass_close(&received);
}

static void on_conn(struct watch *watch, uint32_t events) {
    struct conn *conn = OWNER(watch, struct conn, watch);
    if (events & EPOLLOUT && conn_flush(conn))
        attach_flushed(conn);
    if (events & EPOLLIN)
        receive(conn);
    else if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        conn->dead = true;
}

static void on_listener(struct watch *watch, uint32_t events) {
    int fd = sys_accept(watch->fd, SOCK_NONBLOCK | SOCK_CLOEXEC);
    (void)events;
    if (fd >= 0)
        conn_adopt(fd, on_conn);
}

int server_open(int listener, int first) {
    conn_adopt(first, on_conn);
    return loop_watch(&listener_watch, listener, EPOLLIN, on_listener);
}

static void on_close(struct conn *conn) {
    attach_leave(conn, true);
    process_drop_waiters(conn);
    ending_drop(conn);
}

/* A launcher that was killed before it had started anything will not come back: without the end the
 * shim would stay for ever. */
void server_sweep(void) {
    conn_sweep(on_close);
    if (!conns && !processes)
        ending_begin(NULL, 0);
}
