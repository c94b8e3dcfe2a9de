/* snprintf with the conversions of the core's messages: s d u x z, with # 0 width, precision (also
 * as *), h, l, ll, z. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNLIMITED (-1)
#define DIGITS 24

/* Text under construction: counts all of it, writes what fits. */
struct text {
    char *out;
    size_t room, used;
};

struct conversion {
    bool alternative, zeros;
    int width, precision, longs;
    char letter;
};

static void put(struct text *text, const char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++, text->used++)
        if (text->used + 1 < text->room)
            text->out[text->used] = bytes[i];
}

static void pad(struct text *text, char byte, int width, size_t size) {
    for (int i = (int)size; i < width; i++)
        put(text, &byte, 1);
}

static const char *read_number(const char *at, int *number) {
    for (*number = 0; *at >= '0' && *at <= '9'; at++)
        *number = *number * 10 + (*at - '0');
    return at;
}

/* From behind the '%' to behind the letter. */
static const char *read_conversion(const char *at, struct conversion *found, va_list *args) {
    *found = (struct conversion){.precision = UNLIMITED};
    for (; *at == '#' || *at == '0'; at++)
        *(*at == '#' ? &found->alternative : &found->zeros) = true;
    at = read_number(at, &found->width);
    if (*at == '.' && at[1] == '*') {
        found->precision = va_arg(*args, int);
        at += 2;
    } else if (*at == '.') {
        at = read_number(at + 1, &found->precision);
    }
    for (; *at == 'l' || *at == 'z' || *at == 'h'; at++)
        found->longs += *at != 'h';
    found->letter = *at;
    return at + 1;
}

static void put_string(struct text *text, const struct conversion *how, const char *string) {
    const size_t size =
        how->precision < 0 ? strlen(string) : strnlen(string, (size_t)how->precision);
    pad(text, ' ', how->width, size);
    put(text, string, size);
}

static void put_number(struct text *text, const struct conversion *how, uint64_t number,
                       bool negative) {
    char digits[DIGITS], *at = digits + DIGITS;
    const unsigned base = how->letter == 'x' ? 16 : 10;
    const bool prefix = how->alternative && number;
    do
        *--at = "0123456789abcdef"[number % base];
    while ((number /= base) > 0);
    const size_t size = (size_t)(digits + DIGITS - at);
    const size_t whole = size + negative + 2 * prefix;
    if (!how->zeros)
        pad(text, ' ', how->width, whole);
    put(text, "-", negative);
    put(text, "0x", 2 * prefix);
    if (how->zeros)
        pad(text, '0', how->width, whole);
    put(text, at, size);
}

static void put_conversion(struct text *text, const struct conversion *how, va_list *args) {
    int64_t number;
    switch (how->letter) {
    case 's':
        put_string(text, how, va_arg(*args, const char *));
        break;
    case 'd':
        number = how->longs ? va_arg(*args, int64_t) : va_arg(*args, int);
        put_number(text, how, number < 0 ? -(uint64_t)number : (uint64_t)number, number < 0);
        break;
    case 'u':
    case 'x':
        put_number(text, how, how->longs ? va_arg(*args, uint64_t) : va_arg(*args, unsigned),
                   false);
        break;
    default: /* a conversion that was forgotten here: the first test that meets it fails loudly */
        abort();
    }
}

int vsnprintf(char *restrict out, size_t room, const char *restrict format, va_list given) {
    struct text text = {out, room, 0};
    struct conversion how;
    va_list args;
    va_copy(args, given);
    while (*format) {
        const size_t plain = strcspn(format, "%");
        put(&text, format, plain);
        format += plain;
        if (*format) {
            format = read_conversion(format + 1, &how, &args);
            put_conversion(&text, &how, &args);
        }
    }
    va_end(args);
    if (room > 0)
        out[text.used < room ? text.used : room - 1] = '\0';
    return (int)text.used;
}

int snprintf(char *restrict out, size_t room, const char *restrict format, ...) {
    va_list args;
    va_start(args, format);
    int size = vsnprintf(out, room, format, args);
    va_end(args);
    return size;
}
