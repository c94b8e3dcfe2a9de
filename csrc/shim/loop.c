#include "loop.h"

#include <unistd.h>

static int epoll = -1;

int loop_open(void) {
    epoll = epoll_create1(EPOLL_CLOEXEC);
    return epoll < 0 ? -1 : 0;
}

int loop_watch(struct watch *watch, int fd, uint32_t events,
               void (*ready)(struct watch *, uint32_t)) {
    struct epoll_event event = {.events = events, .data.ptr = watch};
    *watch = (struct watch){fd, events, ready};
    if (events == 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    close(fd);
    watch->fd = -1;
    return -1;
}

/* A descriptor with an empty event mask still reports hang-ups, for ever: it is removed instead. */
void loop_change(struct watch *watch, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (watch->fd < 0 || watch->events == events)
        return;
    int how = events == 0 ? EPOLL_CTL_DEL : watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    epoll_ctl(epoll, how, watch->fd, &event);
    watch->events = events;
}

/* Removed explicitly: a child between clone and exec holds a copy, which would keep the watch
 * alive. */
void loop_close(struct watch *watch) {
    if (watch->fd < 0)
        return;
    loop_change(watch, 0);
    close(watch->fd);
    watch->fd = -1;
}

void loop_turn(int timeout) {
    struct epoll_event event;
    if (epoll_wait(epoll, &event, 1, timeout) == 1) {
        struct watch *watch = event.data.ptr;
        watch->ready(watch, event.events);
    }
}
