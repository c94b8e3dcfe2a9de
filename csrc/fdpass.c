#include "fdpass.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int fdpass_send(int socket, struct iovec *parts, size_t count, int fd, int flags) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                          .cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    if (fd >= 0) {
        memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL) < 0 ? -1 : 0;
}

static void collect_fds(struct msghdr *message, struct received_fds *received) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part))
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
            const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(received->fds + received->count, CMSG_DATA(part), count * sizeof(int));
            received->count += count;
        }
}

ssize_t fdpass_receive(int socket, void *bytes, size_t size, struct received_fds *received) {
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(MAX_RECEIVED_FDS * sizeof(int))];
    } control;
    struct iovec body = {bytes, size};
    struct msghdr message = {.msg_iov = &body,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    received->count = 0;
    received->truncated = false;
    const ssize_t result = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (result < 0)
        return -1;
    collect_fds(&message, received);
    received->truncated = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
    return result;
}

void fdpass_close(struct received_fds *received) {
    while (received->count > 0)
        close(received->fds[--received->count]);
}
