#define _GNU_SOURCE
#include "floor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int fail(const char *step, const char *object) {
    fprintf(stderr, "floor: %s %s: %s\n", step, object, strerror(errno));
    return -1;
}
