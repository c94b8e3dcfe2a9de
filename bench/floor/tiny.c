/* The programs that the measured processes execute, without libc: with TINY_PAUSE one that sleeps
 * until it is killed, otherwise one that exits with 0 by its only system call. */
#include <sys/syscall.h>

void _start(void);

static long call1(long number, long argument) {
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(argument), "S"(0), "d"(0), "r"(0)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = argument;
    register long x1 __asm__("x1") = 0;
    register long x2 __asm__("x2") = 0;
    register long x3 __asm__("x3") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#else
#error "no system call convention known for this machine"
#endif
}

void _start(void) {
#ifdef TINY_PAUSE
    for (;;)
        call1(SYS_ppoll, 0);
#else
    call1(SYS_exit_group, 0);
#endif
    for (;;)
        ;
}
