#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int kl_fail(kl_error *err, int code, const char *step, const char *object, ...) {
    va_list args;
    err->code = code;
    snprintf(err->step, sizeof err->step, "%s", step);
    va_start(args, object);
    vsnprintf(err->object, sizeof err->object, object, args);
    va_end(args);
    return -1;
}
