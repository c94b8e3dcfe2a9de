/*
 * The protocol between the shim and its clients, over a Unix SOCK_SEQPACKET socket: one message per
 * packet, little endian, a head of 16 bytes and then the body. Versions N and N+1 are compatible:
 * unknown message types are answered with MSG_ERROR ENOSYS, a body may grow at its end, unknown
 * flags are refused.
 *
 * Requests carry a sequence number chosen by the client; the answer repeats it. DATA, END, RESIZE,
 * DETACH and CARE have no answer. Descriptors travel with a packet, at most MAX_RECEIVED_FDS
 * (fdpass.h).
 */
#ifndef KL_SHIM_PROTOCOL_H
#define KL_SHIM_PROTOCOL_H

#include <stdint.h>

#define SHIM_PROTOCOL 1
#define MAX_MSG_SIZE 65536 /* head and body together */
#define ID_SIZE 64         /* 64 hexadecimal digits, no NUL */

enum msg_type {
    MSG_HELLO = 1,   /* u32 version -> MSG_HELLO: u32 version, i32 shim pid */
    MSG_START = 2,   /* struct start_body + descriptors -> MSG_STARTED | MSG_ERROR */
    MSG_SIGNAL = 3,  /* struct signal_body -> MSG_OK | MSG_ERROR (ESRCH: exited; ENOENT: unknown) */
    MSG_STATE = 4,   /* empty -> MSG_STATE: struct state_entry[] */
    MSG_WAIT = 5,    /* id -> MSG_EXITED once it has exited | MSG_ERROR ENOENT */
    MSG_ACK = 6,     /* id: the exit is recorded; the shim drops it and its exit file -> MSG_OK */
    MSG_ATTACH = 7,  /* struct attach_body: this connection carries the streams now -> MSG_OK */
    MSG_DATA = 8,    /* head.flags: stream 0, 1 or 2; bytes. Both ways */
    MSG_END = 9,     /* head.flags: stream; end of file. Both ways */
    MSG_RESIZE = 10, /* u16 rows, u16 columns of the attached terminal */
    MSG_DETACH = 11, /* this connection stops carrying streams; the process continues */
    /* Kills every process, pause last -> MSG_OK when all are reaped; the shim then exits without
     * running the care command. */
    MSG_SHUTDOWN = 12,
    MSG_STARTED =
        13,          /* struct started_body; for pause with one descriptor: its network namespace */
    MSG_EXITED = 14, /* struct state_entry */
    MSG_ERROR = 15,  /* struct error_body */
    MSG_OK = 16,
    /* u32 1: the pod needs care, which this connection gives until it is closed; 0: it needs none.
     * While it needs care that nobody gives, the shim runs the care command now and then. */
    MSG_CARE = 17,
};

struct msg_head {
    uint16_t type, flags;
    uint32_t seq;
    uint32_t size; /* of the body */
    uint32_t reserved;
};

enum start_flag {
    START_STDIN = 1u << 0,      /* stdin is a pipe; without it /dev/null */
    START_STDIN_ONCE = 1u << 1, /* close stdin when the first attached client leaves */
    START_ATTACH = 1u << 2,     /* this connection carries the streams (an exec; not logged) */
    START_LOG = 1u << 3,        /* the last descriptor is the log directory, for <attempt>.log */
    START_TARGET = 1u << 4,     /* a container joins `target`, not pause; an exec always does */
    START_ALL_FLAGS = (1u << 5) - 1,
};

/* Descriptors: the plan's memfd, the plan's own descriptors in order, then (START_LOG) the log
 * directory. */
struct start_body {
    char id[ID_SIZE];
    char target[ID_SIZE]; /* exec, START_TARGET: the container to join; else zeros */
    uint32_t role;        /* enum spawn_role */
    uint32_t flags;
    uint32_t attempt; /* names the log file */
    uint16_t rows, columns;
    uint64_t log_bytes; /* rotate past this size (containerLogMaxSize) */
    uint32_t log_files; /* keep this many files, the live one included (containerLogMaxFiles) */
    uint32_t reserved;
};

struct started_body {
    int32_t pid;
    uint32_t already;     /* 1: this id was started before; nothing was done now */
    uint64_t start_ticks; /* field 22 of /proc/PID/stat */
    uint64_t started_at;  /* wall clock, ns since 1970 */
};

struct signal_body {
    char id[ID_SIZE];
    int32_t signal;
    uint32_t reserved;
};

struct attach_body {
    char id[ID_SIZE];
    uint32_t streams; /* bit 0 stdin, 1 stdout, 2 stderr */
    uint32_t reserved;
};

enum process_state { PROCESS_STARTING = 1, PROCESS_RUNNING = 2, PROCESS_EXITED = 3 };

struct state_entry {
    char id[ID_SIZE];
    uint32_t role, state;
    int32_t pid;
    int32_t code;   /* 0..255; 128 + signal when a signal ended it */
    int32_t signal; /* 0 or the signal */
    uint32_t lost;  /* STATE: log records lost to a full disk and not yet mentioned in the log */
    uint64_t started_at, finished_at; /* wall clock, ns since 1970 */
};

struct error_body {
    int32_t code; /* errno */
    char step[48];
    char object[256];
};

#endif
