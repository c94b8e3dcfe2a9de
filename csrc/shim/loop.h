/* The shim's event loop: epoll, one event at a time, so that a handler may free any object. */
#ifndef KL_SHIM_LOOP_H
#define KL_SHIM_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

/* A descriptor and its handler; part of the object that owns the descriptor. fd is -1: none. */
struct watch {
    int fd;
    uint32_t events; /* 0: not watched at all, not even for hang-ups */
    void (*ready)(struct watch *watch, uint32_t events);
};

#define OWNER(watch, type, member) ((type *)((char *)(watch)-offsetof(type, member)))

/* Makes the loop. Returns -1 with errno. */
int loop_open(void);

/* Takes ownership of `fd` and calls `ready` on `events`. Returns -1 with errno; fd is then
 * closed. */
int loop_watch(struct watch *watch, int fd, uint32_t events,
               void (*ready)(struct watch *, uint32_t));

/* Changes the events waited for. */
void loop_change(struct watch *watch, uint32_t events);

/* Closes the descriptor, if any. */
void loop_close(struct watch *watch);

/* Waits for one event, at most `timeout` milliseconds (-1: for ever), and handles it. */
void loop_turn(int timeout);

#endif
