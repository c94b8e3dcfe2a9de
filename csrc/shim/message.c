#include "message.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "container/spawn.h"

bool message_open(const uint8_t *packet, size_t size, struct message *message) {
    struct msg_head head;
    if (size < sizeof head)
        return false;
    memcpy(&head, packet, sizeof head);
    if (head.size != size - sizeof head)
        return false;
    *message = (struct message){.type = head.type,
                                .flags = head.flags,
                                .seq = head.seq,
                                .size = head.size,
                                .body = packet + sizeof head};
    return true;
}

static int refuse(kl_error *err, const char *what) {
    return kl_fail(err, EINVAL, "read message", "%s", what);
}

/* A body may be longer than expected: later versions add fields at its end. */
static int take(const struct message *message, void *body, size_t size, kl_error *err) {
    if (message->size < size)
        return refuse(err, "body is too short");
    memcpy(body, message->body, size);
    return 0;
}

/* Ids name files: digits and nothing else. */
static bool is_id(const char *id) {
    for (int i = 0; i < ID_SIZE; i++)
        if (!(id[i] >= '0' && id[i] <= '9') && !(id[i] >= 'a' && id[i] <= 'f'))
            return false;
    return true;
}

static int read_id(struct message *message, kl_error *err) {
    if (take(message, message->id, sizeof message->id, err) < 0)
        return -1;
    return is_id(message->id) ? 0 : refuse(err, "id");
}

static int read_start(struct message *message, kl_error *err) {
    struct start_body *start = &message->start;
    if (take(message, start, sizeof *start, err) < 0)
        return -1;
    const bool joins = start->role == SPAWN_EXEC || start->flags & START_TARGET;
    if (!is_id(start->id) || (joins && !is_id(start->target)))
        return refuse(err, "id");
    if (start->role < SPAWN_PAUSE || start->role > SPAWN_EXEC)
        return refuse(err, "role");
    if (start->flags & ~(uint32_t)START_ALL_FLAGS)
        return refuse(err, "flags");
    if (start->flags & START_LOG && (start->role != SPAWN_CONTAINER || start->log_files == 0))
        return refuse(err, "log");
    return 0;
}

static int read_signal(struct message *message, kl_error *err) {
    if (take(message, &message->signal, sizeof message->signal, err) < 0)
        return -1;
    if (!is_id(message->signal.id))
        return refuse(err, "id");
    return message->signal.signal >= 0 && message->signal.signal < NSIG ? 0 : refuse(err, "signal");
}

static int read_attach(struct message *message, kl_error *err) {
    if (take(message, &message->attach, sizeof message->attach, err) < 0)
        return -1;
    if (!is_id(message->attach.id))
        return refuse(err, "id");
    return message->attach.streams <= 7 ? 0 : refuse(err, "streams");
}

int message_read(struct message *message, kl_error *err) {
    switch (message->type) {
    case MSG_HELLO:
        return take(message, &message->version, sizeof message->version, err);
    case MSG_START:
        return read_start(message, err);
    case MSG_SIGNAL:
        return read_signal(message, err);
    case MSG_WAIT:
    case MSG_ACK:
        return read_id(message, err);
    case MSG_ATTACH:
        return read_attach(message, err);
    case MSG_CARE:
        return take(message, &message->needed, sizeof message->needed, err);
    case MSG_RESIZE:
        return take(message, message->window, sizeof message->window, err);
    case MSG_STATE:
    case MSG_DATA:
    case MSG_END:
    case MSG_DETACH:
    case MSG_SHUTDOWN:
        return 0;
    default:
        return kl_fail(err, ENOSYS, "read message", "type %u", message->type);
    }
}

struct msg_head message_head(uint16_t type, uint16_t flags, uint32_t seq, size_t size) {
    return (struct msg_head){.type = type, .flags = flags, .seq = seq, .size = (uint32_t)size};
}
