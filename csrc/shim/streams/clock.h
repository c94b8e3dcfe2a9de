/* The clocks, and wall time as the shim writes it. */
#ifndef KL_SHIM_CLOCK_H
#define KL_SHIM_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NANOSECONDS 1000000000ull
#define RFC3339_SIZE 30 /* 2006-01-02T15:04:05.000000000Z, no NUL */
#define STAMP_SIZE 26   /* 20060102-150405.000000000, with NUL */

/* Nanoseconds since 1970. */
uint64_t clock_wall(void);

/* Nanoseconds that nobody can set, for periods. */
uint64_t clock_monotonic(void);

/* RFC 3339 with nanoseconds, UTC; always RFC3339_SIZE characters, so that times sort as text. */
void clock_rfc3339(uint64_t time, char *out);

/* The same time as part of a file name. */
void clock_stamp(uint64_t time, char *out);

#endif
