/*
 * The log of one container: `<attempt>.log` in its directory, lines in the CRI format
 *
 *   2006-01-02T15:04:05.000000000Z stdout F text
 *
 * with tag P for a part of a line that continues (or was never ended) and F for the end of a line.
 * Past its size limit the file is renamed to `<attempt>.log.<time>` and a new one made; a record is
 * never split between two files. When the disk is full, whole records are dropped and counted; the
 * next record written is a gap record with their number.
 */
#ifndef KL_SHIM_LOG_H
#define KL_SHIM_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

#define LOG_STREAMS 2

struct log;

/* Opens the log in the directory `dir`, a descriptor that it takes ownership of, also on failure.
 * NULL on failure. */
struct log *log_open(int dir, uint32_t attempt, uint64_t limit, uint32_t files, kl_error *err);

/* Writes what was read from stream 1 (stdout) or 2 (stderr). The end of an unfinished line is kept
 * until it goes on. */
void log_feed(struct log *log, int stream, const char *bytes, size_t size);

/* Writes the unfinished line of a stream that has ended. */
void log_finish(struct log *log, int stream);

/* Number of records lost since the last gap record; 0 for NULL. */
uint32_t log_lost(const struct log *log);

/* Closes the log; NULL is ignored. */
void log_close(struct log *log);

#endif
