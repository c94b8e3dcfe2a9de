/* An OCI runtime in front of the OCI runtime: takes "rlimits" out of the bundle's config.json and
 * executes REAL_RUNTIME. For podman on a machine that may not raise hard limits: it asks for that
 * without being told. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The array holds flat objects, so its first closing bracket is its end. Returns the new length. */
static size_t strip(char *text, size_t length) {
    char *start = strstr(text, "\"rlimits\"");
    char *end = start == NULL ? NULL : strchr(start, ']');
    if (end == NULL)
        return length;
    end++;
    end += strspn(end, " \t\r\n");
    if (*end == ',')
        end++;
    else /* it was the last member: the comma before it goes */
        while (start > text && *start != ',')
            start--;
    memmove(start, end, (size_t)(text + length - end) + 1);
    return length - (size_t)(end - start);
}

static int rewrite(const char *path) {
    struct stat info;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &info) < 0)
        return -1;
    size_t length = (size_t)info.st_size;
    char *text = calloc(1, length + 1);
    if (text == NULL || read(fd, text, length) != (ssize_t)length)
        return -1;
    size_t left = strip(text, length);
    if (pwrite(fd, text, left, 0) != (ssize_t)left || ftruncate(fd, (off_t)left) < 0)
        return -1;
    free(text);
    return close(fd);
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++) {
        char path[PATH_MAX];
        if (strcmp(argv[i], "--bundle") != 0 && strcmp(argv[i], "-b") != 0)
            continue;
        snprintf(path, sizeof path, "%s/config.json", argv[i + 1]);
        if (rewrite(path) < 0) {
            fprintf(stderr, "nolimits: %s: %s\n", path, strerror(errno));
            return 1;
        }
    }
    execv(REAL_RUNTIME, argv);
    fprintf(stderr, "nolimits: %s: %s\n", REAL_RUNTIME, strerror(errno));
    return 1;
}
