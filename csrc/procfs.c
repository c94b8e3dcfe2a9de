#include "procfs.h"

#include <fcntl.h>
#include <string.h>

#include "cleanup.h"

ssize_t procfs_read(const char *path, char *text, size_t room) {
    SCOPED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? -1 : read(fd, text, room - 1);
    text[size < 0 ? 0 : size] = '\0';
    return size;
}

uint64_t procfs_number(const char **cursor) {
    uint64_t number = 0;
    for (*cursor += strspn(*cursor, " \n"); **cursor >= '0' && **cursor <= '9'; ++*cursor)
        number = number * 10 + (uint64_t)(**cursor - '0');
    return number;
}
