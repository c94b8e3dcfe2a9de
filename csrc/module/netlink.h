/* Rtnetlink messages, built into one buffer and sent in one system call. Private to net.c: a
 * handful of messages of known size, so the buffer is fixed and a message that does not fit is a
 * refusal, never an overrun. */
#ifndef KL_NETLINK_H
#define KL_NETLINK_H

#include <arpa/inet.h> /* before the kernel's headers, which yield to it */

#include <errno.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "error.h"

#define NL_MESSAGES 10

struct nl_batch {
    size_t used, last;              /* bytes written; where the message being built starts */
    uint32_t count;                 /* messages begun; the sequence number of the last one */
    bool full;                      /* something did not fit */
    bool waits;                     /* an interface that was asked about is not operational yet */
    const char *steps[NL_MESSAGES]; /* what each message does, for errors */
    _Alignas(struct nlmsghdr) char bytes[2048];
};

static inline void nl_put(struct nl_batch *batch, const void *data, size_t length) {
    size_t padded = NLMSG_ALIGN(length);
    if (batch->full || padded > sizeof batch->bytes - batch->used) {
        batch->full = true;
        return;
    }
    if (length > 0)
        memcpy(batch->bytes + batch->used, data, length);
    memset(batch->bytes + batch->used + length, 0, padded - length);
    batch->used += padded;
}

static inline void nl_begin(struct nl_batch *batch, const char *step, uint16_t type, uint16_t flags,
                            const void *body, size_t length) {
    if (batch->count == NL_MESSAGES) {
        batch->full = true;
        return;
    }
    batch->steps[batch->count++] = step;
    struct nlmsghdr header = {.nlmsg_type = type,
                              .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                              .nlmsg_seq = batch->count};
    batch->last = batch->used;
    nl_put(batch, &header, sizeof header);
    nl_put(batch, body, length);
}

static inline void nl_end(struct nl_batch *batch) {
    if (batch->full)
        return;
    uint32_t length = (uint32_t)(batch->used - batch->last);
    memcpy(batch->bytes + batch->last + offsetof(struct nlmsghdr, nlmsg_len), &length,
           sizeof length);
}

static inline void nl_attr(struct nl_batch *batch, uint16_t type, const void *data, size_t length) {
    struct rtattr head = {.rta_type = type, .rta_len = (uint16_t)RTA_LENGTH(length)};
    nl_put(batch, &head, sizeof head);
    nl_put(batch, data, length);
}

static inline void nl_attr_u8(struct nl_batch *batch, uint16_t type, uint8_t value) {
    nl_attr(batch, type, &value, sizeof value);
}

static inline void nl_attr_u32(struct nl_batch *batch, uint16_t type, uint32_t value) {
    nl_attr(batch, type, &value, sizeof value);
}

static inline void nl_attr_text(struct nl_batch *batch, uint16_t type, const char *text) {
    nl_attr(batch, type, text, strlen(text) + 1);
}

static inline size_t nl_nest(struct nl_batch *batch, uint16_t type) {
    size_t at = batch->used;
    nl_attr(batch, type, NULL, 0);
    return at;
}

static inline void nl_unnest(struct nl_batch *batch, size_t at) {
    if (batch->full)
        return;
    uint16_t length = (uint16_t)(batch->used - at);
    memcpy(batch->bytes + at + offsetof(struct rtattr, rta_len), &length, sizeof length);
}

/* The kernel's own sentence about a refusal, or NULL. The socket has NETLINK_CAP_ACK, so the
 * attributes stand right behind the error. */
static inline const char *nl_reason(const struct nlmsghdr *header) {
    if (!(header->nlmsg_flags & NLM_F_ACK_TLVS))
        return NULL;
    const struct rtattr *attr =
        (const void *)((const char *)NLMSG_DATA(header) + sizeof(struct nlmsgerr));
    size_t left = header->nlmsg_len - NLMSG_LENGTH(sizeof(struct nlmsgerr));
    for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
        const char *text = RTA_DATA(attr);
        if (attr->rta_type == NLMSGERR_ATTR_MSG && RTA_PAYLOAD(attr) > 0 &&
            text[RTA_PAYLOAD(attr) - 1] == '\0')
            return text;
    }
    return NULL;
}

static inline int nl_open(kl_error *err) {
    int on = 1, sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (sock < 0)
        return kl_fail(err, errno, "open netlink socket", "NETLINK_ROUTE");
    setsockopt(sock, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(sock, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return sock;
}

/* Whether an answer to RTM_GETLINK says that the interface is not operational. */
static inline bool nl_is_link_down(const struct nlmsghdr *header) {
    if (header->nlmsg_type != RTM_NEWLINK)
        return false;
    const struct rtattr *attr = IFLA_RTA(NLMSG_DATA(header));
    size_t left = IFLA_PAYLOAD(header);
    for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left))
        if (attr->rta_type == IFLA_OPERSTATE && RTA_PAYLOAD(attr) > 0)
            return *(const uint8_t *)RTA_DATA(attr) != IF_OPER_UP;
    return false;
}

/* Looks at one answer: true when it is the one to the last message. Only the first failure is kept
 * in *err, for the messages behind it fail because of it. */
static inline bool nl_answer(const struct nl_batch *batch, const struct nlmsghdr *header,
                             const char *object, bool *failed, kl_error *err) {
    if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_seq == 0 ||
        header->nlmsg_seq > batch->count)
        return false;
    int code = ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
    if (code != 0 && !*failed) {
        const char *reason = nl_reason(header);
        kl_fail(err, -code, batch->steps[header->nlmsg_seq - 1], reason ? "%s (%s)" : "%s", object,
                reason);
        *failed = true;
    }
    return header->nlmsg_seq == batch->count;
}

/* Sends the batch and waits until all of it was done. Only the last message asks for an answer: a
 * failure of an earlier one is told unasked, and before. */
static inline int nl_run(int sock, struct nl_batch *batch, const char *object, kl_error *err) {
    if (batch->full || batch->count == 0)
        return kl_fail(err, EMSGSIZE, "build netlink message", "%s", object);
    uint16_t flags;
    char *at = batch->bytes + batch->last + offsetof(struct nlmsghdr, nlmsg_flags);
    memcpy(&flags, at, sizeof flags);
    flags |= NLM_F_ACK;
    memcpy(at, &flags, sizeof flags);
    if (send(sock, batch->bytes, batch->used, 0) < 0)
        return kl_fail(err, errno, "send netlink message", "%s", object);
    for (bool failed = false;;) {
        _Alignas(struct nlmsghdr) char reply[2048];
        ssize_t n = recv(sock, reply, sizeof reply, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return kl_fail(err, errno, "receive netlink answer", "%s", object);
        size_t left = (size_t)n;
        for (struct nlmsghdr *header = (void *)reply; NLMSG_OK(header, left);
             header = NLMSG_NEXT(header, left)) {
            batch->waits = batch->waits || nl_is_link_down(header);
            if (nl_answer(batch, header, object, &failed, err))
                return failed ? -1 : 0;
        }
    }
}

#endif
