#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "raw.h"

int main(int argc, char **argv);
_Noreturn void base_start(long *stack);

char **environ;
static int last_error;

int *__errno_location(void) {
    return &last_error;
}

/* argc, then argv and a NULL, then the environment and a NULL. */
void base_start(long *stack) {
    char **argv = (char **)(stack + 1);
    environ = argv + stack[0] + 1;
    _exit(main((int)stack[0], argv));
}

long syscall(long number, ...) {
    long argument[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        argument[i] = va_arg(args, long);
    va_end(args);
    long result =
        raw(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    if (result >= 0 || result < -4095)
        return result;
    errno = (int)-result;
    return -1;
}
