/* The entry of the program: argc, argv and the environment lie on the stack, which is aligned. */
    .text
    .globl _start
_start:
    mov     x29, #0                 /* the outermost frame */
    mov     x30, #0
    mov     x0, sp                  /* argument: what the kernel has put there */
    bl      base_start
    .section .note.GNU-stack, "", %progbits
