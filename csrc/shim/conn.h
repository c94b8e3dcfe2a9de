/* Connections: packets in, packets out, and what waits because the other side does not read. Never blocks. */
#ifndef KL_SHIM_CONN_H
#define KL_SHIM_CONN_H

#include <stdbool.h>

#include "../error.h"
#include "loop.h"
#include "protocol.h"

struct process;
struct packet;

struct conn {
    struct conn *next;
    struct watch watch;
    struct packet *queue, *last; /* what could not be sent yet, in order */
    size_t queued;               /* bytes of memory in it */
    bool dead; /* to be closed by conn_sweep: nobody has to fear that a connection vanishes under its hands */
    /* What follows belongs to attach.c. */
    struct process *process; /* whose streams this connection carries, or NULL */
    uint32_t attach_seq, streams;
    bool session;         /* the process was started for this connection: it may hold the process up */
    struct packet *input; /* what the process has not taken yet; no further packet is read until it has */
};

struct packet {
    struct packet *next;
    int fd; /* travels with it, or -1 */
    size_t size, done;
    uint8_t bytes[];
};

/* Memory that may wait for a connection before it is dropped as too slow: a burst of output is no reason, not reading is. */
#define CONN_QUEUE_MAX (4u << 20)

/* Every connection, for loops over those attached to a process. */
extern struct conn *conns;

/* Takes over a socket, if its peer may give orders here (root, or this user). */
void conn_adopt(int fd, void (*ready)(struct watch *, uint32_t));

/* Sends one packet, now or when there is room; `fd` travels along and stays the caller's. */
void conn_send(struct conn *conn, uint16_t type, uint16_t flags, uint32_t seq, const void *body, size_t size, int fd);
void conn_send_error(struct conn *conn, uint32_t seq, const kl_error *err);

/* Sends what waits; true when nothing does any more. */
bool conn_flush(struct conn *conn);

/* Waits for packets, or only for the peer's end; and for room to send when something waits. */
void conn_listen(struct conn *conn, bool packets);

/* A copy of some bytes; NULL when there is no memory. */
struct packet *packet_make(const void *head, size_t head_size, const void *body, size_t size);
void packet_free(struct packet *packet);

/* Closes the connections that have died. `left` is told about each before. */
void conn_sweep(void (*left)(struct conn *));

#endif
