/* Connections: packets in, packets out, and a queue for clients that do not read. Never blocks. */
#ifndef KL_SHIM_CONN_H
#define KL_SHIM_CONN_H

#include <stdbool.h>

#include "error.h"
#include "loop.h"
#include "protocol.h"

struct process;
struct packet;

struct conn {
    struct conn *next;
    struct watch watch;
    struct packet *queue, *last; /* unsent packets, in order */
    size_t queued;               /* bytes of memory in the queue */
    bool dead;                   /* closed by conn_sweep, and never while a handler uses it */
    bool cares;                  /* its client looks after the pod */
    /* The rest belongs to attach.c. */
    struct process *process; /* whose streams this connection carries, or NULL */
    uint32_t attach_seq, streams;
    bool session;         /* the process was started for this connection */
    struct packet *input; /* not accepted by the process yet; no packet is read until it is */
};

struct packet {
    struct packet *next;
    int fd; /* travels with it, or -1 */
    size_t size, done;
    uint8_t bytes[];
};

/* Bytes that may be queued for a connection before it is closed as too slow: enough for a burst. */
#define MAX_CONN_QUEUE (4u << 20)

/* Every connection, for loops over those attached to a process. */
extern struct conn *conns;

/* Takes ownership of a socket; closes it unless its peer is root or this user. */
void conn_adopt(int fd, void (*ready)(struct watch *, uint32_t));

/* Sends one packet, now or when there is room; `fd` (-1: none) is sent along and stays the
 * caller's. */
void conn_send(struct conn *conn, uint16_t type, uint16_t flags, uint32_t seq, const void *body,
               size_t size, int fd);
void conn_send_error(struct conn *conn, uint32_t seq, const kl_error *err);

/* Sends the queue; true when it is empty. */
bool conn_flush(struct conn *conn);

/* Waits for packets, or only for a hang-up; and for room to send when packets are queued. */
void conn_listen(struct conn *conn, bool packets);

/* A copy of some bytes; NULL when there is no memory. */
struct packet *packet_make(const void *head, size_t head_size, const void *body, size_t size);
void packet_free(struct packet *packet);

/* Closes the dead connections, calling `on_close` with each before. */
void conn_sweep(void (*on_close)(struct conn *));

#endif
