/* The shim's one loop: epoll, one event at a time, so that a handler may free whatever it likes. */
#ifndef KL_SHIM_LOOP_H
#define KL_SHIM_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* A descriptor and whom to call about it; part of the object that owns the descriptor. fd is -1 when there is none. */
struct watch {
    int fd;
    uint32_t events; /* 0: not watched at all, not even for hang-ups */
    void (*ready)(struct watch *watch, uint32_t events);
};

#define OWNER(watch, type, member) ((type *)((char *)(watch)-offsetof(type, member)))

/* Makes the loop. Returns -1 with errno. */
int loop_open(void);

/* Takes over `fd` and calls `ready` on `events`. Returns -1 with errno; fd is then closed. */
int loop_watch(struct watch *watch, int fd, uint32_t events, void (*ready)(struct watch *, uint32_t));

/* Changes what is waited for. */
void loop_change(struct watch *watch, uint32_t events);

/* Closes the descriptor. Harmless when there is none. */
void loop_close(struct watch *watch);

/* Waits for one event, at most `timeout` milliseconds (-1: for ever), and handles it. */
void loop_turn(int timeout);

#endif
