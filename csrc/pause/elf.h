/* The file header and the two program headers of pause, written by hand: a linker would add section
 * headers, symbols and padding that nobody reads. The output of the assembler's .text section,
 * taken as it is, is the program. */
#define PAUSE_BASE 0x400000
#define PAUSE_ALIGN 0x10000 /* good for pages of 4, 16 and 64 KiB */

.macro elf_head machine
file_start:
    .byte 0x7f, 'E', 'L', 'F'
    .byte 2, 1, 1, 0                                /* 64 bits, little endian, version 1 */
    .quad 0
    .short 2, \machine                              /* ET_EXEC */
    .long 1
    .quad PAUSE_BASE + program_start - file_start   /* entry */
    .quad program_headers - file_start
    .quad 0                                         /* no section headers */
    .long 0
    .short 64, 56, 2, 64, 0, 0                      /* sizes and counts of the headers */
program_headers:
    .long 1, 5                                      /* PT_LOAD, read and execute: the file */
    .quad 0, PAUSE_BASE, PAUSE_BASE
    .quad file_end - file_start, file_end - file_start, PAUSE_ALIGN
    .long 0x6474e551, 6                             /* PT_GNU_STACK: no executable stack */
    .quad 0, 0, 0, 0, 0, 16
.endm
