#include "launcher/request.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sys.h"

#define SIGNALS 64

static size_t count_texts(char *const texts[], size_t *bytes) {
    size_t count = 0;
    for (; texts[count]; count++)
        *bytes += strlen(texts[count]) + 1;
    return count;
}

static char *append_texts(char *at, char *const texts[]) {
    for (size_t i = 0; texts[i]; i++)
        at = stpcpy(at, texts[i]) + 1;
    return at;
}

/* The kernel's own form: the launcher has no handlers whose restorers would matter. */
static uint64_t ignored_signals(void) {
    struct {
        void (*handler)(int);
        unsigned long flags;
        void *restorer;
        uint64_t mask;
    } action;
    uint64_t ignored = 0;
    for (int number = 1; number <= SIGNALS; number++)
        if (syscall(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask) == 0 &&
            action.handler == SIG_IGN)
            ignored |= 1ull << (number - 1);
    return ignored;
}

static uint64_t blocked_signals(void) {
    uint64_t blocked = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof blocked);
    return blocked;
}

static uint32_t current_umask(void) {
    const mode_t mask = umask(0);
    umask(mask);
    return mask;
}

int request_make(struct request *request, char *const argv[], char *const envp[]) {
    struct request_head head = {.version = REQUEST_VERSION};
    size_t size = sizeof head;
    head.arguments = (uint32_t)count_texts(argv, &size);
    head.variables = (uint32_t)count_texts(envp, &size);
    if (size > MAX_REQUEST || !(request->bytes = malloc(size)))
        return -1;
    head.size = (uint32_t)size;
    head.ignored = ignored_signals();
    head.blocked = blocked_signals();
    head.umask = current_umask();
    memcpy(request->bytes, &head, sizeof head);
    append_texts(append_texts(request->bytes + sizeof head, argv), envp);
    request->size = size;
    return 0;
}
