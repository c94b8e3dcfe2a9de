/* Packets over Unix sockets, and the descriptors that travel with them (SCM_RIGHTS). */
#ifndef KL_FDPASS_H
#define KL_FDPASS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#define MAX_RECEIVED_FDS 250 /* the kernel's SCM_MAX_FD is 253 */

/* Descriptors that came with a packet; close-on-exec. */
struct received_fds {
    int fds[MAX_RECEIVED_FDS];
    size_t count;
    bool truncated; /* the packet or its descriptors did not fit */
};

/* Sends one packet with `fd` (-1: without), which stays the caller's. Returns -1 with errno. */
int fdpass_send(int socket, struct iovec *parts, size_t count, int fd, int flags);

/* Receives one packet of at most `size` bytes without blocking. Returns its size, 0 at the end, or
 * -1 with errno; `received` is valid in every case. */
ssize_t fdpass_receive(int socket, void *bytes, size_t size, struct received_fds *received);

/* Closes the descriptors that are still in `received`. */
void fdpass_close(struct received_fds *received);

#endif
