/* cgroup directories below one base directory per hierarchy, in the hierarchies a pod's limits use.
 * The base is made here and must not exist before: so whatever lies below it is ours to remove. */
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum controller { CPU = 1, CPUACCT = 2, MEMORY = 4, PIDS = 8, DEVICES = 16 };

static const struct {
    const char *name;
    unsigned bit;
} controllers[] = {
    {"cpu", CPU}, {"cpuacct", CPUACCT}, {"memory", MEMORY}, {"pids", PIDS}, {"devices", DEVICES}};

/* 500 milli-CPU, 64 MiB, 128 tasks. cpu.weight is Kubernetes' conversion of 512 shares. */
static const struct {
    unsigned controller;
    const char *v1_file, *v1_value, *v2_file, *v2_value;
} limits[] = {
    {CPU, "cpu.shares", "512", "cpu.weight", "20"},
    {MEMORY, "memory.limit_in_bytes", "67108864", "memory.max", "67108864"},
    {PIDS, "pids.max", "128", "pids.max", "128"},
};

/* The OCI runtime's default devices. Children of a v1 devices cgroup start with their parent's
 * list, so a pod is told once. */
static const char *const device_rules[] = {"c *:* m",   "b *:* m",    "c 1:3 rwm", "c 1:5 rwm",
                                           "c 1:7 rwm", "c 1:8 rwm",  "c 1:9 rwm", "c 5:0 rwm",
                                           "c 5:2 rwm", "c 136:* rwm"};

static unsigned parse_controllers(char *list, const char *separators) {
    unsigned found = 0;
    char *save = NULL;
    for (char *word = strtok_r(list, separators, &save); word != NULL;
         word = strtok_r(NULL, separators, &save))
        for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++)
            if (strcmp(word, controllers[i].name) == 0)
                found |= controllers[i].bit;
    return found;
}

static int write_file(int base, const char *group, const char *file, const char *value) {
    char path[NAME_LEN * 2];
    snprintf(path, sizeof path, "%s/%s", group, file);
    int fd = openat(base, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return fail("open", path);
    ssize_t n = write(fd, value, strlen(value));
    int saved = errno;
    close(fd);
    errno = saved;
    return n < 0 ? fail("write", path) : 0;
}

/* v2: only the controllers that the root hands down; the root itself is never changed. */
static unsigned available_v2(const char *mount_point) {
    char path[PATH_MAX + 32], text[512] = "";
    snprintf(path, sizeof path, "%s/cgroup.subtree_control", mount_point);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n <= 0 ? 0 : parse_controllers(text, " \n");
}

static int delegate_v2(const struct hierarchy *h, const char *group) {
    char words[64] = "";
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++)
        if (h->controllers & controllers[i].bit)
            snprintf(words + strlen(words), sizeof words - strlen(words), "+%s ",
                     controllers[i].name);
    return words[0] == '\0' ? 0 : write_file(h->base, group, "cgroup.subtree_control", words);
}

static int add_hierarchy(struct cgroups *g, const char *mount_point, const char *name, bool v2,
                         unsigned bits) {
    struct hierarchy *h = &g->h[g->count];
    h->v2 = v2;
    h->controllers = bits;
    if (snprintf(h->path, sizeof h->path, "%s/%s", mount_point, name) >= (int)sizeof h->path)
        return errno = ENAMETOOLONG, fail("cgroup", mount_point);
    if (mkdir(h->path, 0755) < 0)
        return fail("mkdir", h->path);
    h->base = open(h->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    g->count++;
    if (h->base < 0)
        return fail("open", h->path);
    return v2 ? delegate_v2(h, ".") : 0;
}

/* One line of mountinfo: only the mount point, the type and the super block's options matter. */
static int consider_mount(struct cgroups *g, char *line, const char *name, unsigned *seen) {
    char point[PATH_MAX], type[32], options[256];
    char *tail = strstr(line, " - ");
    if (tail == NULL || sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1 ||
        sscanf(tail, " - %31s %*s %255s", type, options) != 2 || g->count == MAX_HIERARCHIES)
        return 0;
    bool v2 = strcmp(type, "cgroup2") == 0;
    unsigned bits = v2 ? available_v2(point) : parse_controllers(options, ",");
    unsigned mark = v2 ? 1u << 31 : bits;
    if ((!v2 && (strcmp(type, "cgroup") != 0 || bits == 0)) || (*seen & mark) != 0)
        return 0;
    *seen |= mark;
    return add_hierarchy(g, point, name, v2, bits);
}

/* Makes the base cgroup `name` in the hierarchies in use. */
int cgroups_open(struct cgroups *g, const char *name) {
    char line[8192];
    unsigned seen = 0;
    g->count = 0;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (f == NULL)
        return fail("open", "/proc/self/mountinfo");
    int rc = 0;
    while (rc == 0 && fgets(line, sizeof line, f) != NULL)
        rc = consider_mount(g, line, name, &seen);
    fclose(f);
    if (rc == 0 && g->count == 0)
        return errno = ENOENT, fail("find", "a cgroup mount");
    return rc;
}

void cgroups_close(struct cgroups *g) {
    for (size_t i = 0; i < g->count; i++) {
        if (g->h[i].base >= 0)
            close(g->h[i].base);
        if (rmdir(g->h[i].path) < 0)
            fail("rmdir", g->h[i].path);
    }
    g->count = 0;
}

const char *cgroups_kind(const struct cgroups *g) {
    bool v1 = false, v2 = false;
    for (size_t i = 0; i < g->count; i++)
        *(g->h[i].v2 ? &v2 : &v1) = true;
    return v1 && v2 ? "hybrid" : v1 ? "v1" : "v2";
}

static int write_limits(const struct hierarchy *h, const char *group) {
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (!(h->controllers & limits[i].controller))
            continue;
        if (write_file(h->base, group, h->v2 ? limits[i].v2_file : limits[i].v1_file,
                       h->v2 ? limits[i].v2_value : limits[i].v1_value) < 0)
            return -1;
    }
    return 0;
}

static int write_device_rules(const struct hierarchy *h, const char *group) {
    if (write_file(h->base, group, "devices.deny", "a") < 0)
        return -1;
    for (size_t i = 0; i < sizeof device_rules / sizeof *device_rules; i++)
        if (write_file(h->base, group, "devices.allow", device_rules[i]) < 0)
            return -1;
    return 0;
}

int cgroup_make_pod(const struct cgroups *g, const char *pod) {
    for (size_t i = 0; i < g->count; i++) {
        const struct hierarchy *h = &g->h[i];
        if (mkdirat(h->base, pod, 0755) < 0)
            return fail("mkdir cgroup", pod);
        if (write_limits(h, pod) < 0 || (h->v2 && delegate_v2(h, pod) < 0))
            return -1;
        if (!h->v2 && (h->controllers & DEVICES) && write_device_rules(h, pod) < 0)
            return -1;
    }
    return 0;
}

/* Makes the cgroup `path` ("pod/container") with its limits and opens what a member needs. On
 * failure the descriptors opened so far are in m. */
int cgroup_make_container(const struct cgroups *g, const char *path, struct membership *m) {
    m->ntasks = 0;
    m->into = -1;
    for (size_t i = 0; i < g->count; i++) {
        const struct hierarchy *h = &g->h[i];
        if (mkdirat(h->base, path, 0755) < 0)
            return fail("mkdir cgroup", path);
        if (write_limits(h, path) < 0)
            return -1;
        if (h->v2) {
            m->into = openat(h->base, path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
            if (m->into < 0)
                return fail("open cgroup", path);
            continue;
        }
        char tasks[NAME_LEN * 2];
        snprintf(tasks, sizeof tasks, "%s/tasks", path);
        int fd = openat(h->base, tasks, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return fail("open", tasks);
        m->tasks[m->ntasks++] = fd;
    }
    return 0;
}

void membership_close(struct membership *m) {
    for (size_t i = 0; i < m->ntasks; i++)
        close(m->tasks[i]);
    if (m->into >= 0)
        close(m->into);
    m->ntasks = 0;
    m->into = -1;
}

/* A cgroup that was never made counts as removed. */
int cgroup_remove(const struct cgroups *g, const char *path) {
    int rc = 0;
    for (size_t i = 0; i < g->count; i++)
        if (unlinkat(g->h[i].base, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
            rc = fail("rmdir cgroup", path);
    return rc;
}
