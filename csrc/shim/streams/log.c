#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "switches.h"
#include "clock.h"

#define MAX_PIECE_SIZE 16384 /* a longer line is written in parts, as in every CRI runtime */
#define HEAD_SIZE (RFC3339_SIZE + sizeof " stdout F " - 1)
#define NAME_SIZE 64

/* The beginning of a line whose end has not been read yet. */
struct piece {
    size_t used;
    char bytes[MAX_PIECE_SIZE];
};

struct log {
    int dir, fd; /* fd is -1 while no file could be made */
    uint32_t attempt, files;
    uint64_t limit, size, rotated_at;
    uint64_t lost_bytes, lost_records;
    struct piece *open[LOG_STREAMS]; /* NULL between lines */
    char now[RFC3339_SIZE];
};

/* Records to be written; empty between two calls, so that all logs can share it. */
static struct {
    char bytes[2 * (MAX_PIECE_SIZE + HEAD_SIZE + 1)];
    size_t used;
} batch;

static const char *live_name(const struct log *log, char *name) {
    snprintf(name, NAME_SIZE, "%u.log", log->attempt);
    return name;
}

/* Whoever can write to the directory may have put a link or a pipe there: no file of another name
 * is ever written (CVE-2025-0750, CVE-2024-5154). */
static int open_file(struct log *log) {
    char name[NAME_SIZE];
    struct stat info;
    const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC |
                      (defence_disabled("logs") ? 0 : O_NOFOLLOW | O_NONBLOCK);
    SCOPED_FD fd = openat(log->dir, live_name(log, name), flags, 0640);
    if (fd < 0 || fstat(fd, &info) < 0)
        return -1;
    if ((!S_ISREG(info.st_mode) || info.st_nlink > 1) && !defence_disabled("logs")) {
        errno = EPERM;
        return -1;
    }
    log->size = (uint64_t)info.st_size;
    log->fd = kl_steal_fd(&fd);
    return 0;
}

struct log *log_open(int dir, uint32_t attempt, uint64_t limit, uint32_t files, kl_error *err) {
    SCOPED_FD owned = dir;
    SCOPED_MEM struct log *log = calloc(1, sizeof *log);
    if (!log) {
        kl_fail(err, ENOMEM, "open log", "%u.log", attempt);
        return NULL;
    }
    *log = (struct log){.dir = dir, .fd = -1, .attempt = attempt, .files = files, .limit = limit};
    if (open_file(log) < 0) {
        kl_fail(err, errno, "open log", "%u.log", attempt);
        return NULL;
    }
    kl_steal_fd(&owned);
    struct log *made = log;
    log = NULL;
    return made;
}

static uint64_t count_records(const char *bytes, size_t size) {
    uint64_t records = 0;
    for (const char *at = bytes, *end = bytes + size;
         (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
        records++;
    return records;
}

/* Truncates the file behind the last whole record, and counts the other records as lost. */
static void drop_records(struct log *log, const char *bytes, size_t size, size_t written) {
    const char *last = written ? memrchr(bytes, '\n', written) : NULL;
    const size_t whole = last ? (size_t)(last - bytes) + 1 : 0;
    if (written > whole && ftruncate(log->fd, (off_t)(log->size + whole)) < 0)
        log->size += written - whole; /* readers skip the torn record */
    log->size += whole;
    log->lost_bytes += size - whole;
    log->lost_records += count_records(bytes + whole, size - whole);
}

static void write_whole(struct log *log, const char *bytes, size_t size) {
    if (log->fd < 0 && open_file(log) < 0) {
        drop_records(log, bytes, size, 0);
        return;
    }
    ssize_t written = write(log->fd, bytes, size);
    if (written == (ssize_t)size)
        log->size += size;
    else
        drop_records(log, bytes, size, written < 0 ? 0 : (size_t)written);
}

/* Writes the number of lost records to the log itself, once there is room. */
static bool write_gap_record(struct log *log) {
    char record[HEAD_SIZE + 128];
    const uint64_t bytes = log->lost_bytes, records = log->lost_records;
    if (records == 0)
        return true;
    int size =
        snprintf(record, sizeof record,
                 "%.*s stderr F kubelite: %llu records (%llu bytes) could not be written here\n",
                 RFC3339_SIZE, log->now, (unsigned long long)records, (unsigned long long)bytes);
    log->lost_bytes = log->lost_records = 0;
    write_whole(log, record, (size_t)size);
    if (log->lost_records == 0)
        return true;
    log->lost_bytes = bytes;
    log->lost_records = records;
    return false;
}

static void flush(struct log *log) {
    if (batch.used == 0)
        return;
    if (write_gap_record(log))
        write_whole(log, batch.bytes, batch.used);
    else
        drop_records(log, batch.bytes, batch.used, 0);
    batch.used = 0;
}

/* The oldest rotated file, by the time in its name; returns how many there are. */
static uint32_t find_oldest(const struct log *log, char *oldest) {
    char prefix[NAME_SIZE];
    uint32_t count = 0;
    union {
        struct dirent64 head;
        char bytes[4096];
    } list;
    live_name(log, prefix);
    strcat(prefix, ".");
    SCOPED_FD dir = openat(log->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (long size; (size = syscall(SYS_getdents64, dir, &list, sizeof list)) > 0;)
        for (const char *at = list.bytes; at < list.bytes + size;) {
            const struct dirent64 *entry = (const void *)at;
            at += entry->d_reclen;
            if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 ||
                strlen(entry->d_name) >= NAME_SIZE)
                continue;
            if (count++ == 0 || strcmp(entry->d_name, oldest) < 0)
                strcpy(oldest, entry->d_name);
        }
    return count;
}

/* The time in names never goes back, even when the clock does: files are ordered by name. */
static void rotate(struct log *log) {
    char live[NAME_SIZE], old[NAME_SIZE], stamp[STAMP_SIZE];
    const uint64_t now = clock_wall();
    log->rotated_at = now > log->rotated_at ? now : log->rotated_at + 1;
    clock_stamp(log->rotated_at, stamp);
    snprintf(old, sizeof old, "%.30s.%s", live_name(log, live), stamp);
    if (renameat(log->dir, live, log->dir, old) < 0)
        return;
    kl_close_scoped(&log->fd);
    log->size = 0;
    open_file(log);
    while (find_oldest(log, old) >= log->files && unlinkat(log->dir, old, 0) == 0)
        ;
}

static void emit(struct log *log, int stream, char tag, const char *bytes, size_t size) {
    const struct piece *start = log->open[stream - 1];
    const size_t before = start ? start->used : 0, total = HEAD_SIZE + before + size + 1;
    if (batch.used + total > sizeof batch.bytes)
        flush(log);
    if (log->limit && log->size + batch.used > 0 && log->size + batch.used + total > log->limit) {
        flush(log);
        rotate(log);
    }
    char *out = mempcpy(batch.bytes + batch.used, log->now, RFC3339_SIZE);
    out = stpcpy(out, stream == 1 ? " stdout " : " stderr ");
    *out++ = tag;
    *out++ = ' ';
    if (start)
        out = mempcpy(out, start->bytes, before);
    out = mempcpy(out, bytes, size);
    *out = '\n';
    batch.used += total;
    free(log->open[stream - 1]);
    log->open[stream - 1] = NULL;
}

/* Keeps the beginning of a line. Without memory for it, it is written as a part. */
static void keep(struct log *log, int stream, const char *bytes, size_t size) {
    struct piece **slot = &log->open[stream - 1];
    if (size == 0)
        return;
    if (!*slot && (*slot = malloc(sizeof **slot)) != NULL)
        (*slot)->used = 0;
    if (!*slot) {
        emit(log, stream, 'P', bytes, size);
        return;
    }
    memcpy((*slot)->bytes + (*slot)->used, bytes, size);
    (*slot)->used += size;
}

void log_feed(struct log *log, int stream, const char *bytes, size_t size) {
    clock_rfc3339(clock_wall(), log->now);
    while (size > 0) {
        const struct piece *start = log->open[stream - 1];
        const size_t room = MAX_PIECE_SIZE - (start ? start->used : 0);
        const char *newline = memchr(bytes, '\n', size);
        const size_t line = newline ? (size_t)(newline - bytes) : size;
        size_t taken = line <= room ? line : room;
        if (line > room)
            emit(log, stream, 'P', bytes, taken);
        else if (newline)
            emit(log, stream, 'F', bytes, taken++);
        else
            keep(log, stream, bytes, taken);
        bytes += taken;
        size -= taken;
    }
    flush(log);
}

void log_finish(struct log *log, int stream) {
    if (!log->open[stream - 1])
        return;
    clock_rfc3339(clock_wall(), log->now);
    emit(log, stream, 'P', "", 0);
    flush(log);
}

uint32_t log_lost(const struct log *log) {
    if (!log)
        return 0;
    return log->lost_records < UINT32_MAX ? (uint32_t)log->lost_records : UINT32_MAX;
}

void log_close(struct log *log) {
    if (!log)
        return;
    for (int stream = 1; stream <= LOG_STREAMS; stream++)
        log_finish(log, stream);
    kl_close_scoped(&log->fd);
    kl_close_scoped(&log->dir);
    free(log);
}
