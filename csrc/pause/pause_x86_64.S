/*
 * pause: the process that holds a pod's namespaces. It waits for SIGTERM or SIGINT, and as pid 1 of
 * a shared process namespace it reaps orphans.
 * System calls: number in rax, arguments in rdi, rsi, rdx, r10.
 */
#include "elf.h"

    .text
    elf_head 62                     /* EM_X86_64 */

program_start:
    push    $-1                     /* a signal mask with every bit set, on the stack */
    mov     $14, %eax               /* rt_sigprocmask */
    mov     $0, %edi                /* SIG_BLOCK: a pid 1 drops signals that are not blocked */
    mov     %rsp, %rsi              /* the mask */
    mov     $0, %edx                /* the old mask is not wanted */
    mov     $8, %r10d               /* size of a mask in bytes */
    syscall
    mov     $157, %eax              /* prctl */
    mov     $15, %edi               /* PR_SET_NAME: else it is named after a descriptor */
    lea     name(%rip), %rsi        /* the name */
    syscall

wait:
    mov     $128, %eax              /* rt_sigtimedwait */
    lea     awaited(%rip), %rdi     /* the signals to wait for */
    mov     $0, %esi                /* no details wanted */
    mov     $0, %edx                /* no time limit */
    mov     $8, %r10d               /* size of a mask in bytes */
    syscall
    cmp     $15, %eax               /* SIGTERM? */
    je      leave
    cmp     $2, %eax                /* SIGINT? */
    je      leave

reap:
    mov     $61, %eax               /* wait4 */
    mov     $-1, %rdi               /* any child */
    mov     $0, %esi                /* its status is not wanted */
    mov     $1, %edx                /* WNOHANG */
    mov     $0, %r10d               /* nor its resource usage */
    syscall
    test    %eax, %eax              /* the pid reaped; 0: none has ended; negative: there is none */
    jg      reap
    jmp     wait

leave:
    mov     $231, %eax              /* exit_group */
    mov     $0, %edi                /* status 0 */
    syscall

awaited:
    .quad   0x14002                 /* bit n-1 for signal n: INT 2, TERM 15, CHLD 17 */
name:
    .asciz  "pause"
file_end:
    .section .note.GNU-stack, "", %progbits
