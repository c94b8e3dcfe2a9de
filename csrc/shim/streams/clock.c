#include "clock.h"

#include <string.h>
#include <time.h>

static uint64_t nanoseconds(const struct timespec *time) {
    return (uint64_t)time->tv_sec * NANOSECONDS + (uint64_t)time->tv_nsec;
}

uint64_t clock_wall(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(&now);
}

uint64_t clock_monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return nanoseconds(&now);
}

struct date {
    unsigned year, month, day;
};

/* The Gregorian date of a day since 1970, counted in eras of 400 years that begin on 1 March: leap
 * days come last. libc's own way would read time zone files. */
static struct date date_of(uint64_t days) {
    const uint64_t since = days + 719468; /* 0000-03-01 */
    const unsigned of_era = (unsigned)(since % 146097);
    const unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    const unsigned month = (5 * of_year + 2) / 153; /* 0 is March */
    return (struct date){(unsigned)(since / 146097) * 400 + year + (month > 9),
                         month > 9 ? month - 9 : month + 3, of_year - (153 * month + 2) / 5 + 1};
}

static char *put(char *out, uint64_t number, int digits) {
    for (int i = digits; i-- > 0; number /= 10)
        out[i] = (char)('0' + number % 10);
    return out + digits;
}

static char *put_date(char *out, uint64_t time, const char *dash) {
    const struct date date = date_of(time / NANOSECONDS / 86400);
    out = stpcpy(put(out, date.year, 4), dash);
    out = stpcpy(put(out, date.month, 2), dash);
    return put(out, date.day, 2);
}

static char *put_time(char *out, uint64_t time, const char *colon) {
    const uint64_t second = time / NANOSECONDS % 86400;
    out = stpcpy(put(out, second / 3600, 2), colon);
    out = stpcpy(put(out, second / 60 % 60, 2), colon);
    out = put(out, second % 60, 2);
    *out++ = '.';
    return put(out, time % NANOSECONDS, 9);
}

void clock_rfc3339(uint64_t time, char *out) {
    out = put_date(out, time, "-");
    *out++ = 'T';
    *put_time(out, time, ":") = 'Z';
}

void clock_stamp(uint64_t time, char *out) {
    out = put_date(out, time, "");
    *out++ = '-';
    *put_time(out, time, "") = '\0';
}
