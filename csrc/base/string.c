/* Strings and memory areas, plainly; only what logs go through, byte for byte, is worth more than a
 * loop. */
#include <stdint.h>
#include <string.h>

#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
#ifdef __x86_64__
    void *out = to;
    __asm__ volatile("rep movsb" : "+D"(out), "+S"(from), "+c"(size) : : "memory");
#else
    char *out = to;
    const char *in = from;
    for (; size >= 8; size -= 8, out += 8, in += 8)
        __builtin_memcpy(out, in, 8);
    while (size-- > 0)
        *out++ = *in++;
#endif
    return to;
}

void *mempcpy(void *restrict to, const void *restrict from, size_t size) {
    return (char *)memcpy(to, from, size) + size;
}

void *memmove(void *to, const void *from, size_t size) {
    char *out = to;
    const char *in = from;
    if (out <= in || out >= in + size)
        for (size_t i = 0; i < size; i++)
            out[i] = in[i];
    else
        while (size-- > 0)
            out[size] = in[size];
    return to;
}

void *memset(void *to, int byte, size_t size) {
#ifdef __x86_64__
    void *out = to;
    __asm__ volatile("rep stosb" : "+D"(out), "+c"(size) : "a"(byte) : "memory");
#else
    for (char *out = to; size-- > 0;)
        *out++ = (char)byte;
#endif
    return to;
}

int memcmp(const void *one, const void *other, size_t size) {
    const unsigned char *a = one, *b = other;
    for (; size > 0; size--, a++, b++)
        if (*a != *b)
            return *a - *b;
    return 0;
}

/* Eight bytes at a time: a byte of x is 0 exactly where the test leaves its high bit. */
void *memchr(const void *area, int byte, size_t size) {
    const unsigned char *at = area;
    const uint64_t wanted = ONES * (unsigned char)byte;
    for (uint64_t word; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        __builtin_memcpy(&word, at, sizeof word);
        word ^= wanted;
        if ((word - ONES) & ~word & HIGHS)
            break;
    }
    for (; size > 0; at++, size--)
        if (*at == (unsigned char)byte)
            return (void *)at;
    return NULL;
}

void *memrchr(const void *area, int byte, size_t size) {
    const unsigned char *at = area;
    while (size-- > 0)
        if (at[size] == (unsigned char)byte)
            return (void *)(at + size);
    return NULL;
}

size_t strlen(const char *text) {
    size_t size = 0;
    while (text[size])
        size++;
    return size;
}

size_t strnlen(const char *text, size_t max) {
    size_t size = 0;
    while (size < max && text[size])
        size++;
    return size;
}

char *stpcpy(char *restrict to, const char *restrict from) {
    while ((*to = *from++) != '\0')
        to++;
    return to;
}

char *strcpy(char *restrict to, const char *restrict from) {
    stpcpy(to, from);
    return to;
}

char *strcat(char *restrict to, const char *restrict from) {
    stpcpy(to + strlen(to), from);
    return to;
}

int strcmp(const char *one, const char *other) {
    while (*one && *one == *other)
        one++, other++;
    return (unsigned char)*one - (unsigned char)*other;
}

int strncmp(const char *one, const char *other, size_t max) {
    for (; max > 0; max--, one++, other++)
        if (*one != *other || !*one)
            return (unsigned char)*one - (unsigned char)*other;
    return 0;
}

char *strchr(const char *text, int byte) {
    for (; *text != (char)byte; text++)
        if (!*text)
            return NULL;
    return (char *)text;
}

char *strrchr(const char *text, int byte) {
    return memrchr(text, byte, strlen(text) + 1);
}

size_t strspn(const char *text, const char *set) {
    size_t size = 0;
    while (text[size] && strchr(set, text[size]))
        size++;
    return size;
}

size_t strcspn(const char *text, const char *set) {
    size_t size = 0;
    while (text[size] && !strchr(set, text[size]))
        size++;
    return size;
}

char *strstr(const char *text, const char *wanted) {
    const size_t size = strlen(wanted);
    for (;; text++) {
        if (strncmp(text, wanted, size) == 0)
            return (char *)text;
        if (!*text)
            return NULL;
    }
}

char *strsep(char **rest, const char *set) {
    char *piece = *rest;
    if (!piece)
        return NULL;
    char *end = piece + strcspn(piece, set);
    *rest = *end ? end + 1 : NULL;
    *end = '\0';
    return piece;
}
