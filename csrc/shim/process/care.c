#include "care.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cleanup.h"
#include "command.h"
#include "ending.h"
#include "shim/streams/clock.h"
#include "switches.h"

/* Nanoseconds. A command gives a pod back before the agent takes it; and an agent that ends again
 * and again is started less and less often. */
#define FIRST_WAIT (2 * NANOSECONDS)
#define LONGEST_WAIT (60 * NANOSECONDS)
/* So that not all shims of a machine start an agent at the same moment. */
#define SPREAD (2 * NANOSECONDS)

static struct {
    const char *uid;
    int exits;
    bool needed;
    uint64_t wait, due; /* due is 0 while nothing is waited for */
} care;

void care_prepare(const char *uid, int exits) {
    care.uid = uid;
    care.exits = exits;
}

void care_asked(struct conn *conn, bool needed) {
    conn->cares = care.needed = needed;
    care.wait = FIRST_WAIT;
    care.due = 0;
}

static bool is_given(void) {
    for (const struct conn *conn = conns; conn; conn = conn->next)
        if (conn->cares)
            return true;
    return false;
}

/* Tells the agent of the pod, as commands do. False where none listens; one that is busy does. */
static bool notify_agent(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct iovec body = {(void *)care.uid, strlen(care.uid)};
    const struct msghdr message = {
        .msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &body, .msg_iovlen = 1};
    SCOPED_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(name.sun_path, sizeof name.sun_path, "/proc/self/fd/%d/../../../agent.sock",
             care.exits);
    return fd >= 0 && (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 || errno == EAGAIN);
}

/* Whether the state root was deleted: nobody can look after the pod then. */
static bool is_deleted(void) {
    struct stat exits;
    return fstat(care.exits, &exits) == 0 && exits.st_nlink == 0;
}

int care_timeout(void) {
    const uint64_t now = clock_monotonic();
    if (!care.due)
        return -1;
    return care.due <= now ? 0 : (int)((care.due - now) / 1000000 + 1);
}

void care_step(void) {
    const uint64_t now = clock_monotonic();
    if (!care.needed || ending_begun() || is_given() || defence_disabled("care")) {
        care.due = 0;
        return;
    }
    if (!care.due)
        care.due = now + care.wait + (uint64_t)getpid() * 7919000 % SPREAD;
    if (now < care.due)
        return;
    if (is_deleted()) {
        care.needed = false;
        return;
    }
    if (!notify_agent())
        command_spawn();
    care.wait = 2 * care.wait < LONGEST_WAIT ? 2 * care.wait : LONGEST_WAIT;
    care.due = now + care.wait;
}
