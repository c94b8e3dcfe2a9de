/* libFuzzer target: whatever the packet, a request is refused or what was read of it is sound. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "shim/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool sound) {
    if (!sound)
        abort();
}

/* Ids become file names. */
static void must_be_id(const char *id) {
    for (int i = 0; i < ID_SIZE; i++)
        must(id[i] && strchr("0123456789abcdef", id[i]));
}

static void check(const struct message *message) {
    switch (message->type) {
    case MSG_START:
        must_be_id(message->start.id);
        must((message->start.flags & ~(uint32_t)START_ALL_FLAGS) == 0);
        must(!(message->start.flags & START_LOG) || message->start.log_files > 0);
        break;
    case MSG_SIGNAL:
        must_be_id(message->signal.id);
        must(message->signal.signal >= 0 && message->signal.signal <= 64);
        break;
    case MSG_ATTACH:
        must_be_id(message->attach.id);
        break;
    case MSG_WAIT:
    case MSG_ACK:
        must_be_id(message->id);
        break;
    case MSG_CARE:
        break;
    default:
        must(message->type >= MSG_HELLO && message->type <= MSG_SHUTDOWN);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct message message;
    kl_error err;
    if (size == 0)
        return 0;
    SCOPED_MEM uint8_t *packet = malloc(size);
    memcpy(packet, data, size);
    if (!message_open(packet, size, &message))
        return 0;
    must(message.size + sizeof(struct msg_head) == size);
    if (message_read(&message, &err) == 0)
        check(&message);
    return 0;
}
