/* Text files of /proc and the decimal numbers in them. */
#ifndef KL_PROCFS_H
#define KL_PROCFS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a file of /proc, at most `room` - 1 bytes of it, as a NUL-terminated string. Returns its
 * length, or -1 with errno. */
ssize_t procfs_read(const char *path, char *text, size_t room);

/* The decimal number at *cursor behind any blanks, 0 when there is none; moves *cursor past it. */
uint64_t procfs_number(const char **cursor);

#endif
