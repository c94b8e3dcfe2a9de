/*
 * malloc for a program that holds a few small things for long and a few large ones for a moment.
 * Small blocks come in powers of two and return to a list of their size; large ones are mappings of
 * their own, which go back to the kernel.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEAD 16 /* in front of every block, and its alignment */
#define SMALLEST 5
#define CLASSES 8 /* 32 to 4096 bytes, the head included */
#define ARENA 16384

union block {
    struct {
        size_t size; /* of the whole mapping; or below CLASSES: which list it belongs to */
        union block *next;
    };
    char head[HEAD];
};

static union block *unused[CLASSES];
static char *arena;
static size_t arena_left;

static void *map(size_t size) {
    void *area = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return area == MAP_FAILED ? NULL : area;
}

static union block *take_small(size_t class) {
    const size_t size = (size_t)1 << (SMALLEST + class);
    union block *block = unused[class];
    if (block) {
        unused[class] = block->next;
        return block;
    }
    /* What is left of an arena that cannot hold the block is given up: at most a page, and
     * seldom. */
    if (arena_left < size) {
        char *fresh = map(ARENA);
        if (!fresh)
            return NULL;
        arena = fresh;
        arena_left = ARENA;
    }
    block = (union block *)(void *)arena;
    arena += size;
    arena_left -= size;
    return block;
}

void *malloc(size_t size) {
    size_t class = 0;
    if (size > PTRDIFF_MAX - HEAD - 4096) {
        errno = ENOMEM;
        return NULL;
    }
    const size_t whole = size + HEAD;
    while (class < CLASSES && whole > (size_t)1 << (SMALLEST + class))
        class ++;
    union block *block = class < CLASSES ? take_small(class) : map(whole);
    if (!block)
        return NULL;
    block->size = class < CLASSES ? class : whole;
    return block + 1;
}

void free(void *area) {
    if (!area)
        return;
    union block *block = (union block *)area - 1;
    if (block->size >= CLASSES) {
        munmap(block, block->size);
        return;
    }
    block->next = unused[block->size];
    unused[block->size] = block;
}

void *calloc(size_t count, size_t size) {
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole)) {
        errno = ENOMEM;
        return NULL;
    }
    void *area = malloc(whole);
    return area ? memset(area, 0, whole) : NULL;
}
