#include "exits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cleanup.h"

/* CRC-32 as in zlib; readers check it. */
static uint32_t checksum(const char *bytes, int size) {
    uint32_t sum = ~0u;
    for (int i = 0; i < size; i++) {
        sum ^= (uint8_t)bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum & 1 ? sum >> 1 ^ 0xedb88320u : sum >> 1;
    }
    return ~sum;
}

/* One line of JSON and one with its checksum, as in every record on disk. */
static int format(const struct state_entry *entry, char *text, size_t room) {
    int line =
        snprintf(text, room,
                 "{\"version\":1,\"id\":\"%.64s\",\"role\":%u,\"pid\":%d,\"code\":%d,\"signal\":%d,"
                 "\"started_at\":%llu,\"finished_at\":%llu}",
                 entry->id, entry->role, entry->pid, entry->code, entry->signal,
                 (unsigned long long)entry->started_at, (unsigned long long)entry->finished_at);
    return line +
           snprintf(text + line, room - (size_t)line, "\ncrc32:%08x\n", checksum(text, line));
}

static int write_file(int dir, const char *name, const char *text, int size) {
    SCOPED_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    ssize_t done = write(fd, text, (size_t)size);
    if (done >= 0 && done < size)
        errno = ENOSPC;
    return done == size ? 0 : -1;
}

int exits_write(int dir, const struct state_entry *entry) {
    char text[512], name[ID_SIZE + 1], temporary[ID_SIZE + 8];
    int size = format(entry, text, sizeof text);
    snprintf(name, sizeof name, "%.64s", entry->id);
    snprintf(temporary, sizeof temporary, "%.64s.tmp", entry->id);
    if (write_file(dir, temporary, text, size) == 0 && renameat(dir, temporary, dir, name) == 0)
        return 0;
    int code = errno;
    unlinkat(dir, temporary, 0);
    errno = code;
    return -1;
}

void exits_remove(int dir, const char *id) {
    char name[ID_SIZE + 1];
    snprintf(name, sizeof name, "%.64s", id);
    unlinkat(dir, name, 0);
}
