#include "attach.h"

#include <string.h>

#include "stdio.h"

#define STDIN_BIT 1u

void attach_begin(struct conn *conn, struct process *process, uint32_t streams, uint32_t seq,
                  bool session) {
    conn->process = process;
    conn->streams = streams;
    conn->attach_seq = seq;
    conn->session = session;
}

static void detach(struct conn *conn) {
    packet_free(conn->input);
    conn->input = NULL;
    conn->process = NULL;
    conn->session = false;
    if (!conn->dead)
        conn_listen(conn, true);
}

void attach_leave(struct conn *conn, bool lost) {
    struct process *process = conn->process;
    const bool session = conn->session;
    if (!process)
        return;
    if (conn->streams & STDIN_BIT && process->flags & START_STDIN_ONCE)
        stdio_end_input(process);
    detach(conn);
    if (!session)
        return;
    if (lost) {
        process->orphaned = true;
        stdio_close(process);
    } else {
        stdio_hold(process, false);
    }
}

void attach_output(struct process *process, int stream, const void *bytes, size_t size) {
    for (struct conn *conn = conns; conn; conn = conn->next) {
        if (conn->process != process || !(conn->streams >> stream & 1))
            continue;
        conn_send(conn, MSG_DATA, (uint16_t)stream, conn->attach_seq, bytes, size, -1);
        if (conn->session && conn->queue)
            stdio_hold(process, true);
    }
}

void attach_end(struct process *process, int stream) {
    for (struct conn *conn = conns; conn; conn = conn->next)
        if (conn->process == process && conn->streams >> stream & 1)
            conn_send(conn, MSG_END, (uint16_t)stream, conn->attach_seq, NULL, 0, -1);
}

void attach_exited(struct process *process) {
    for (struct conn *conn = conns; conn; conn = conn->next)
        if (conn->process == process) {
            conn_send(conn, MSG_EXITED, 0, conn->attach_seq, &process->entry, sizeof process->entry,
                      -1);
            detach(conn);
        }
}

void attach_input(struct conn *conn, const uint8_t *bytes, size_t size) {
    if (!conn->process || !(conn->streams & STDIN_BIT))
        return;
    size_t taken = stdio_write(conn->process, bytes, size);
    if (taken == size)
        return;
    conn->input = packet_make(bytes + taken, size - taken, NULL, 0);
    if (conn->input)
        conn_listen(conn, false);
    else
        conn->dead = true;
}

void attach_input_end(struct conn *conn) {
    if (conn->process && conn->streams & STDIN_BIT)
        stdio_end_input(conn->process);
}

void attach_input_ready(struct process *process) {
    for (struct conn *conn = conns; conn; conn = conn->next) {
        struct packet *input = conn->input;
        if (conn->process != process || !input)
            continue;
        input->done += stdio_write(process, input->bytes + input->done, input->size - input->done);
        if (input->done < input->size)
            return;
        packet_free(input);
        conn->input = NULL;
        conn_listen(conn, true);
    }
}

void attach_flushed(struct conn *conn) {
    if (conn->session)
        stdio_hold(conn->process, false);
}
