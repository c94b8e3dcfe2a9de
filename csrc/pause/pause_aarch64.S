/*
 * pause: the process that holds a pod's namespaces. It waits for SIGTERM or SIGINT, and as pid 1 of
 * a shared process namespace it reaps orphans.
 * System calls: number in x8, arguments in x0 to x3, result in x0.
 */
#include "elf.h"

    .text
    elf_head 183                    /* EM_AARCH64 */

program_start:
    mov     x9, #-1                 /* a signal mask with every bit set */
    str     x9, [sp, #-16]!         /* on the stack, which stays aligned to 16 */
    mov     x8, #135                /* rt_sigprocmask */
    mov     x0, #0                  /* SIG_BLOCK: a pid 1 drops signals that are not blocked */
    mov     x1, sp                  /* the mask */
    mov     x2, #0                  /* the old mask is not wanted */
    mov     x3, #8                  /* size of a mask in bytes */
    svc     #0
    mov     x8, #167                /* prctl */
    mov     x0, #15                 /* PR_SET_NAME: else it is named after a descriptor */
    adr     x1, name                /* the name */
    svc     #0

wait:
    mov     x8, #137                /* rt_sigtimedwait */
    adr     x0, awaited             /* the signals to wait for */
    mov     x1, #0                  /* no details wanted */
    mov     x2, #0                  /* no time limit */
    mov     x3, #8                  /* size of a mask in bytes */
    svc     #0
    cmp     w0, #15                 /* SIGTERM? */
    b.eq    leave
    cmp     w0, #2                  /* SIGINT? */
    b.eq    leave

reap:
    mov     x8, #260                /* wait4 */
    mov     x0, #-1                 /* any child */
    mov     x1, #0                  /* its status is not wanted */
    mov     x2, #1                  /* WNOHANG */
    mov     x3, #0                  /* nor its resource usage */
    svc     #0
    cmp     w0, #0                  /* the pid reaped; 0: none has ended; negative: there is none */
    b.gt    reap
    b       wait

leave:
    mov     x8, #94                 /* exit_group */
    mov     x0, #0                  /* status 0 */
    svc     #0

    .balign 8
awaited:
    .quad   0x14002                 /* bit n-1 for signal n: INT 2, TERM 15, CHLD 17 */
name:
    .asciz  "pause"
file_end:
    .section .note.GNU-stack, "", %progbits
