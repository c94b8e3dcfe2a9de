/* One way to fail: fill the caller's kl_error and return -1 in the same line. Nothing here prints
 * or exits. */
#ifndef KL_ERROR_H
#define KL_ERROR_H

#include "kubelite.h"

/* Fills *err with the failing step, errno value `code` and a printf-style object; returns -1. */
int kl_fail(kl_error *err, int code, const char *step, const char *object, ...)
    __attribute__((format(printf, 4, 5), cold));

#endif
