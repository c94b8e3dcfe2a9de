/* Where the kernel enters the program: argc, argv and the environment lie on the stack. */
    .text
    .globl _start
_start:
    xor     %ebp, %ebp              /* the outermost frame */
    mov     %rsp, %rdi              /* argument: what the kernel has put there */
    and     $-16, %rsp              /* the alignment that a call needs */
    call    base_start
    .section .note.GNU-stack, "", %progbits
