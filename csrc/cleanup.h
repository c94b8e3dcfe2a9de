/* Scope attributes: what a scope took, the scope gives back. "Nothing yet" is -1 for descriptors
 * and NULL for memory. */
#ifndef KL_CLEANUP_H
#define KL_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void kl_close_scoped(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

static inline void kl_free_scoped(void *slot) {
    free(*(void **)slot);
}

#define SCOPED_FD __attribute__((cleanup(kl_close_scoped))) int
#define SCOPED_MEM __attribute__((cleanup(kl_free_scoped)))

/* Takes the descriptor out of its scope: the caller owns it now. */
static inline int kl_steal_fd(int *fd) {
    int taken = *fd;
    *fd = -1;
    return taken;
}

#endif
