/* What the launcher asks the warm process to run, as kubelite/cli/warm/request.py reads it. */
#ifndef KL_LAUNCHER_REQUEST_H
#define KL_LAUNCHER_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#define REQUEST_VERSION 1
#define MAX_REQUEST (4u << 20)

/* Native byte order: both ends are on one machine. Behind it follow the arguments and then the
 * environment, each text with its NUL. */
struct request_head {
    uint32_t version;
    uint32_t size; /* of everything, this head included */
    uint32_t arguments;
    uint32_t variables;
    uint64_t ignored; /* signals that the caller ignores; bit 0 is signal 1 */
    uint64_t blocked;
    uint32_t umask;
    uint32_t reserved;
};

/* What comes back, one after the other. Descriptors are sent to who has said that it listens: those
 * on their way to a stopped process would keep the caller's pipes open. */
enum reply_kind { REPLY_LISTENS = 1, REPLY_STARTED = 2, REPLY_EXITED = 3, REPLY_KILLED = 4 };

struct reply {
    uint32_t kind;
    uint32_t value; /* 0, the process, its exit code, the signal that ended it */
};

struct request {
    char *bytes;
    size_t size;
};

/* Packs a request. Returns -1 if it is too large or there is no memory. */
int request_make(struct request *request, char *const argv[], char *const envp[]);

#endif
