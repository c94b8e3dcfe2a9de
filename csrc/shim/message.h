/* Parses and checks the packets of clients. Pure: no descriptor, no clock, no state. */
#ifndef KL_SHIM_MESSAGE_H
#define KL_SHIM_MESSAGE_H

#include <stdbool.h>

#include "error.h"
#include "protocol.h"

struct message {
    uint16_t type, flags;
    uint32_t seq, size;
    const uint8_t *body; /* inside the packet */
    union {
        struct start_body start;
        struct signal_body signal;
        struct attach_body attach;
        char id[ID_SIZE]; /* WAIT, ACK */
        uint32_t version; /* HELLO */
        uint32_t needed;  /* CARE */
        uint16_t window[2];
    };
};

/* Reads the head. False when the size in it is wrong: such a client cannot be answered. */
bool message_open(const uint8_t *packet, size_t size, struct message *message);

/* Reads the body of an opened message. Fails with ENOSYS for an unknown type. */
int message_read(struct message *message, kl_error *err);

/* The head of an answer. */
struct msg_head message_head(uint16_t type, uint16_t flags, uint32_t seq, size_t size);

#endif
