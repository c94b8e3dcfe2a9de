/* The build names the file. */
    .section .rodata
    .globl pause_image, pause_image_end
pause_image:
    .incbin PAUSE_FILE
pause_image_end:
    .section .note.GNU-stack, "", %progbits
