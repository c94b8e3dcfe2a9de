/* network: for each byte on standard input, gives a new network namespace its interface, address
 * and route as a pod gets it, and prints a line with the nanoseconds that took; the namespace is made
 * before and removed after. It works in a network namespace of its own. */
#define _GNU_SOURCE
#include "floor.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* A process that holds a network namespace until it is killed. */
static int hold(struct process *p) {
    int ready[2];
    char byte;
    if (pipe(ready) < 0)
        return fail("pipe", "ready");
    p->pid = fork();
    if (p->pid < 0)
        return fail("fork", "holder");
    if (p->pid == 0) {
        if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    int rc = read(ready[0], &byte, 1) == 1 ? 0 : fail("unshare", "network namespace");
    close(ready[0]);
    p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
    return p->pidfd < 0 ? fail("pidfd_open", "holder") : rc;
}

static int measure(unsigned number) {
    struct process p = {.pidfd = -1, .sync = -1};
    int rc = hold(&p);
    if (rc == 0) {
        const long long t0 = now();
        rc = net_attach(&p, "floor1", number);
        printf("%lld\n", now() - t0);
        rc |= net_delete("floor1");
    }
    if (p.pid > 0) {
        kill(p.pid, SIGKILL);
        waitpid(p.pid, NULL, 0);
    }
    if (p.pidfd >= 0)
        close(p.pidfd);
    return rc;
}

int main(void) {
    char byte;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (unshare(CLONE_NEWNET) < 0)
        return fail("unshare", "network namespace") < 0;
    int rc = net_bridge();
    for (unsigned number = 0; rc == 0 && read(STDIN_FILENO, &byte, 1) == 1; number++)
        rc = measure(number);
    return rc == 0 ? 0 : 1;
}
