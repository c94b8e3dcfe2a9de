#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cleanup.h"
#include "fdpass.h"
#include "message.h"

struct conn *conns;

static bool may_command(int fd) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

void conn_adopt(int fd, void (*ready)(struct watch *, uint32_t)) {
    struct conn *conn = may_command(fd) ? calloc(1, sizeof *conn) : NULL;
    if (!conn) {
        close(fd);
        return;
    }
    if (loop_watch(&conn->watch, fd, EPOLLIN | EPOLLRDHUP, ready) < 0) {
        free(conn);
        return;
    }
    conn->next = conns;
    conns = conn;
}

struct packet *packet_make(const void *head, size_t head_size, const void *body, size_t size) {
    struct packet *packet = malloc(sizeof *packet + head_size + size);
    if (!packet)
        return NULL;
    *packet = (struct packet){.fd = -1, .size = head_size + size};
    memcpy(packet->bytes, head, head_size);
    if (size)
        memcpy(packet->bytes + head_size, body, size);
    return packet;
}

void packet_free(struct packet *packet) {
    if (!packet)
        return;
    kl_close_scoped(&packet->fd);
    free(packet);
}

/* Sends one packet. False when there is no room for it now; other failures make the connection
 * dead. */
static bool send_now(struct conn *conn, struct iovec *parts, size_t count, int fd) {
    if (fdpass_send(conn->watch.fd, parts, count, fd, MSG_DONTWAIT) == 0)
        return true;
    if (errno == EAGAIN || errno == ENOBUFS)
        return false;
    conn->dead = true;
    return true;
}

static void enqueue(struct conn *conn, struct packet *packet) {
    *(conn->queue ? &conn->last->next : &conn->queue) = packet;
    conn->last = packet;
    conn->queued += sizeof *packet + packet->size;
    loop_change(&conn->watch, conn->watch.events | EPOLLOUT);
    if (conn->queued > MAX_CONN_QUEUE)
        conn->dead = true;
}

void conn_send(struct conn *conn, uint16_t type, uint16_t flags, uint32_t seq, const void *body,
               size_t size, int fd) {
    struct msg_head head = message_head(type, flags, seq, size);
    struct iovec parts[] = {{&head, sizeof head}, {(void *)body, size}};
    if (conn->dead || (!conn->queue && send_now(conn, parts, 2, fd)))
        return;
    struct packet *packet = packet_make(&head, sizeof head, body, size);
    if (packet && fd >= 0 && (packet->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
        packet_free(packet);
        packet = NULL;
    }
    if (packet)
        enqueue(conn, packet);
    else
        conn->dead = true;
}

void conn_send_error(struct conn *conn, uint32_t seq, const kl_error *err) {
    struct error_body body = {.code = err->code};
    memcpy(body.step, err->step, sizeof body.step);
    memcpy(body.object, err->object, sizeof body.object);
    conn_send(conn, MSG_ERROR, 0, seq, &body, sizeof body, -1);
}

bool conn_flush(struct conn *conn) {
    while (conn->queue && !conn->dead) {
        struct packet *packet = conn->queue;
        struct iovec part = {packet->bytes, packet->size};
        if (!send_now(conn, &part, 1, packet->fd))
            return false;
        conn->queue = packet->next;
        conn->queued -= sizeof *packet + packet->size;
        packet_free(packet);
    }
    loop_change(&conn->watch, conn->watch.events & ~(uint32_t)EPOLLOUT);
    return true;
}

void conn_listen(struct conn *conn, bool packets) {
    const uint32_t out = conn->watch.events & EPOLLOUT;
    loop_change(&conn->watch, out | EPOLLRDHUP | (packets ? EPOLLIN : 0));
}

static void close_conn(struct conn *conn) {
    loop_close(&conn->watch);
    while (conn->queue) {
        struct packet *next = conn->queue->next;
        packet_free(conn->queue);
        conn->queue = next;
    }
    packet_free(conn->input);
    free(conn);
}

void conn_sweep(void (*on_close)(struct conn *)) {
    for (struct conn **slot = &conns; *slot;) {
        struct conn *conn = *slot;
        if (!conn->dead) {
            slot = &conn->next;
            continue;
        }
        *slot = conn->next;
        on_close(conn);
        close_conn(conn);
    }
}
