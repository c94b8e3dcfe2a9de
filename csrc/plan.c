#include "plan.h"

#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "switches.h"

#define KNOWN_NAMESPACES                                                                           \
    (CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUSER |     \
     CLONE_NEWCGROUP)
#define KNOWN_ATTRIBUTES                                                                           \
    (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |                \
     MOUNT_ATTR_NOATIME)
#define NO_ID 0xffffffffu /* setresuid(-1) would mean "leave it": root */
#define MAX_PATH_SIZE 4096
#define MAX_FILTER_SIZE (4096 * sizeof(struct sock_filter))
#define MAX_ID_MAPS 340 /* what the kernel takes, user_namespaces(7) */

/* One row a section: its name in errors, the size of one item, and how many there may be. */
static const struct {
    const char *name;
    uint32_t size, max_count;
} sections[PLAN_SECTIONS] = {
    [PLAN_STRINGS] = {"strings", 1, MAX_PLAN_SIZE},
    [PLAN_ARGS] = {"args", 4, 1u << 18},
    [PLAN_ENV] = {"env", 4, 1u << 18},
    [PLAN_GROUPS] = {"groups", 4, 65536},
    [PLAN_UID_MAP] = {"uid_map", sizeof(struct plan_idmap), MAX_ID_MAPS},
    [PLAN_GID_MAP] = {"gid_map", sizeof(struct plan_idmap), MAX_ID_MAPS},
    [PLAN_MOUNTS] = {"mounts", sizeof(struct plan_mount), 100000},
    [PLAN_MASKED] = {"masked", 4, 4096},
    [PLAN_READONLY] = {"readonly", 4, 4096},
    [PLAN_DEVICES] = {"devices", sizeof(struct plan_device), 4096},
    [PLAN_RLIMITS] = {"rlimits", sizeof(struct plan_rlimit), RLIM_NLIMITS},
    [PLAN_SYSCTLS] = {"sysctls", sizeof(struct plan_sysctl), 1024},
    [PLAN_CGROUPS] = {"cgroups", 4, 64},
    [PLAN_FILTER] = {"filter", 1, MAX_FILTER_SIZE},
    [PLAN_LABELS] = {"labels", sizeof(struct plan_label), PLAN_MODULES},
};

static int refuse(kl_error *err, const char *what, uint32_t index) {
    return kl_fail(err, EINVAL, "decode launch plan", "%s[%u]", what, index);
}

static bool is_string(const struct plan *plan, uint32_t offset) {
    return offset < plan->head->sections[PLAN_STRINGS].count;
}

static bool is_path(const struct plan *plan, uint32_t offset) {
    if (!is_string(plan, offset))
        return false;
    const char *path = plan_string(plan, offset);
    return path[0] == '/' && strnlen(path, MAX_PATH_SIZE) < MAX_PATH_SIZE;
}

/* A sysctl is written below /proc/sys: no way up, and one line only. */
static bool is_sysctl(const struct plan *plan, const struct plan_sysctl *item) {
    if (!is_string(plan, item->path) || !is_string(plan, item->value))
        return false;
    const char *path = plan_string(plan, item->path);
    if (defence_disabled("sysctls"))
        return true;
    return path[0] != '\0' && path[0] != '/' && strnlen(path, 256) < 256 && !strstr(path, "..") &&
           !strchr(plan_string(plan, item->value), '\n');
}

/* Written to the kernel in one piece of at most a page. */
static bool is_label(const char *value) {
    return *value && strnlen(value, MAX_PATH_SIZE) < MAX_PATH_SIZE && !strchr(value, '\n');
}

static bool is_mount(const struct plan *plan, const struct plan_mount *mount, size_t descriptors) {
    bool bind = mount->kind == PLAN_BIND || mount->kind == PLAN_BIND_FD;
    if (mount->kind >= PLAN_MOUNT_KINDS || (mount->flags & ~(uint32_t)PLAN_MOUNT_ALL_FLAGS) ||
        (mount->attr & ~(uint32_t)KNOWN_ATTRIBUTES))
        return false;
    if (!is_path(plan, mount->target) || !is_string(plan, mount->options) ||
        !is_string(plan, mount->name))
        return false;
    const bool memory = mount->kind == PLAN_TMPFS || mount->kind == PLAN_HUGETLBFS;
    const uint32_t any = PLAN_MOUNT_FILE | (memory ? PLAN_MOUNT_SHARED : 0);
    if (mount->flags & ~any && !bind)
        return false;
    if (mount->kind == PLAN_BIND_FD)
        return mount->source < descriptors;
    if (mount->kind == PLAN_BIND || mount->kind == PLAN_LAYERS)
        return is_path(plan, mount->source);
    return is_string(plan, mount->source);
}

static int check_layout(const uint8_t *bytes, size_t size, kl_error *err) {
    const struct plan_head *head = (const void *)bytes;
    if (size < sizeof *head || size > MAX_PLAN_SIZE || (uintptr_t)bytes % 8 != 0)
        return kl_fail(err, EINVAL, "decode launch plan", "size %zu", size);
    if (head->magic != PLAN_MAGIC || head->version != PLAN_VERSION)
        return kl_fail(err, EPROTO, "decode launch plan", "version %u", head->version);
    if (head->head_size < sizeof *head || head->head_size > size || head->total != size)
        return kl_fail(err, EINVAL, "decode launch plan", "total %u of %zu bytes", head->total,
                       size);
    for (uint32_t i = 0; i < PLAN_SECTIONS; i++) {
        const struct plan_ref *ref = &head->sections[i];
        uint64_t end = ref->offset + (uint64_t)ref->count * sections[i].size;
        if (ref->count > sections[i].max_count || ref->offset % 8 != 0 ||
            ref->offset < head->head_size || end > size)
            return refuse(err, sections[i].name, ref->count);
    }
    return 0;
}

static int check_strings(const struct plan *plan, kl_error *err) {
    const struct plan_head *head = plan->head;
    const struct plan_ref *ref = &head->sections[PLAN_STRINGS];
    const uint8_t *strings = plan->bytes + ref->offset;
    if (ref->count == 0 || strings[0] != '\0' || strings[ref->count - 1] != '\0')
        return refuse(err, "strings", ref->count);
    const uint32_t scalars[] = {head->root_options, head->hostname, head->domainname};
    for (uint32_t i = 0; i < 3; i++)
        if (!is_string(plan, scalars[i]))
            return refuse(err, "head string", i);
    if (head->cwd && !is_path(plan, head->cwd))
        return refuse(err, "cwd", head->cwd);
    static const enum plan_section words[] = {PLAN_ARGS, PLAN_ENV};
    static const enum plan_section paths[] = {PLAN_MASKED, PLAN_READONLY};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t count;
        const uint32_t *items = plan_items(plan, words[i], &count);
        for (uint32_t k = 0; k < count; k++)
            if (!is_string(plan, items[k]))
                return refuse(err, sections[words[i]].name, k);
        items = plan_items(plan, paths[i], &count);
        for (uint32_t k = 0; k < count; k++)
            if (!is_path(plan, items[k]))
                return refuse(err, sections[paths[i]].name, k);
    }
    return 0;
}

static int check_head(const struct plan *plan, size_t descriptors, kl_error *err) {
    const struct plan_head *head = plan->head;
    if (head->flags & ~(uint32_t)PLAN_ALL_FLAGS)
        return refuse(err, "flags", head->flags);
    if ((head->new_ns | head->join_ns) & ~(uint32_t)KNOWN_NAMESPACES ||
        head->new_ns & head->join_ns)
        return refuse(err, "namespaces", head->new_ns);
    if ((head->uid == NO_ID && !defence_disabled("ids")) || head->gid == NO_ID ||
        head->umask > 0777)
        return refuse(err, "identity", head->uid);
    if (head->oom_score_adj < -1000 || head->oom_score_adj > 1000)
        return refuse(err, "oom_score_adj", (uint32_t)head->oom_score_adj);
    if (head->cgroup_fd != PLAN_NO_FD && head->cgroup_fd >= descriptors)
        return refuse(err, "cgroup_fd", head->cgroup_fd);
    const bool layers =
        head->root_kind == PLAN_ROOT_OVERLAY || head->root_kind == PLAN_ROOT_IDMAPPED;
    if (head->root_kind > PLAN_ROOT_IDMAPPED ||
        (head->root_kind == PLAN_ROOT_FD && head->root_fd >= descriptors) ||
        (layers && !is_path(plan, head->root_base)))
        return refuse(err, "root", head->root_kind);
    if (head->root_kind == PLAN_ROOT_IDMAPPED && !(head->join_ns & CLONE_NEWUSER))
        return refuse(err, "root without user namespace", head->root_kind);
    /* A new root needs a mount namespace of its own, or the host would be pivoted. */
    if (head->root_kind != PLAN_ROOT_KEEP && !(head->new_ns & CLONE_NEWNS))
        return refuse(err, "root without mount namespace", head->root_kind);
    return 0;
}

static int check_maps(const struct plan *plan, enum plan_section section, kl_error *err) {
    uint32_t count;
    const struct plan_idmap *maps = plan_items(plan, section, &count);
    if ((count > 0) != ((plan->head->new_ns & CLONE_NEWUSER) != 0))
        return refuse(err, sections[section].name, count);
    for (uint32_t i = 0; i < count; i++)
        if (maps[i].size == 0 || (uint64_t)maps[i].inside + maps[i].size > NO_ID ||
            (uint64_t)maps[i].outside + maps[i].size > NO_ID)
            return refuse(err, sections[section].name, i);
    return 0;
}

static int check_numbers(const struct plan *plan, size_t descriptors, kl_error *err) {
    uint32_t count;
    const uint32_t *numbers = plan_items(plan, PLAN_GROUPS, &count);
    for (uint32_t i = 0; i < count; i++)
        if (numbers[i] == NO_ID)
            return refuse(err, "groups", i);
    numbers = plan_items(plan, PLAN_CGROUPS, &count);
    for (uint32_t i = 0; i < count; i++)
        if (numbers[i] >= descriptors)
            return refuse(err, "cgroups", i);
    const struct plan_rlimit *limits = plan_items(plan, PLAN_RLIMITS, &count);
    for (uint32_t i = 0; i < count; i++)
        if (limits[i].resource >= RLIM_NLIMITS || limits[i].soft > limits[i].hard)
            return refuse(err, "rlimits", i);
    plan_items(plan, PLAN_FILTER, &count);
    if (count % sizeof(struct sock_filter) != 0 ||
        (count > 0) != ((plan->head->flags & PLAN_SECCOMP) != 0))
        return refuse(err, "filter", count);
    return 0;
}

static int check_objects(const struct plan *plan, size_t descriptors, kl_error *err) {
    uint32_t count;
    const struct plan_mount *mounts = plan_items(plan, PLAN_MOUNTS, &count);
    for (uint32_t i = 0; i < count; i++)
        if (!is_mount(plan, &mounts[i], descriptors))
            return refuse(err, "mounts", i);
    const struct plan_device *devices = plan_items(plan, PLAN_DEVICES, &count);
    for (uint32_t i = 0; i < count; i++)
        if (!is_path(plan, devices[i].path) ||
            !(S_ISCHR(devices[i].mode) || S_ISBLK(devices[i].mode)) ||
            devices[i].mode & ~(uint32_t)(S_IFMT | 0777) || devices[i].uid == NO_ID ||
            devices[i].gid == NO_ID)
            return refuse(err, "devices", i);
    const struct plan_sysctl *sysctls = plan_items(plan, PLAN_SYSCTLS, &count);
    for (uint32_t i = 0; i < count; i++)
        if (!is_sysctl(plan, &sysctls[i]))
            return refuse(err, "sysctls", i);
    const struct plan_label *labels = plan_items(plan, PLAN_LABELS, &count);
    for (uint32_t i = 0; i < count; i++)
        if (labels[i].module >= PLAN_MODULES || !is_string(plan, labels[i].value) ||
            !is_label(plan_string(plan, labels[i].value)))
            return refuse(err, "labels", i);
    return 0;
}

int plan_open(const uint8_t *bytes, size_t size, size_t descriptors, struct plan *plan,
              kl_error *err) {
    if (check_layout(bytes, size, err) < 0)
        return -1;
    plan->head = (const void *)bytes;
    plan->bytes = bytes;
    if (check_strings(plan, err) < 0 || check_head(plan, descriptors, err) < 0 ||
        check_maps(plan, PLAN_UID_MAP, err) < 0 || check_maps(plan, PLAN_GID_MAP, err) < 0 ||
        check_numbers(plan, descriptors, err) < 0)
        return -1;
    return check_objects(plan, descriptors, err);
}

int kl_plan_check(const uint8_t *bytes, size_t size, size_t descriptors, kl_error *err) {
    struct plan plan;
    return plan_open(bytes, size, descriptors, &plan, err);
}

/* Text under construction: counts what it would need, writes what fits. */
struct text {
    char *out;
    size_t room, used;
};

static void put(struct text *text, const char *piece) {
    for (; *piece; piece++, text->used++)
        if (text->used + 1 < text->room)
            text->out[text->used] = *piece;
}

static void put_number(struct text *text, const char *before, uint64_t number) {
    char digits[24];
    put(text, before);
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    put(text, digits);
}

/* A space and the string, with everything that is not printable ASCII as \xNN. */
static void put_string(struct text *text, const struct plan *plan, uint32_t offset) {
    put(text, " ");
    for (const char *at = plan_string(plan, offset); *at; at++) {
        char piece[8] = {*at, '\0'};
        if (*at <= ' ' || *at > '~' || *at == '\\')
            snprintf(piece, sizeof piece, "\\x%02x", (unsigned char)*at);
        put(text, piece);
    }
}

static void put_strings(struct text *text, const struct plan *plan, enum plan_section section,
                        const char *key) {
    uint32_t count;
    const uint32_t *items = plan_items(plan, section, &count);
    for (uint32_t i = 0; i < count; i++) {
        put(text, key);
        put_string(text, plan, items[i]);
        put(text, "\n");
    }
}

/* Items made of 32-bit numbers only: `width` numbers a line. */
static void put_numbers(struct text *text, const struct plan *plan, enum plan_section section,
                        uint32_t width) {
    uint32_t count;
    const uint32_t *numbers = plan_items(plan, section, &count);
    for (uint32_t i = 0; i < count; i++) {
        put(text, sections[section].name);
        for (uint32_t k = 0; k < width; k++)
            put_number(text, " ", numbers[i * width + k]);
        put(text, "\n");
    }
}

static void put_head(struct text *text, const struct plan *plan) {
    const struct plan_head *head = plan->head;
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"flags ", head->flags},
        {"\nnew_ns ", head->new_ns},
        {"\njoin_ns ", head->join_ns},
        {"\nuid ", head->uid},
        {"\ngid ", head->gid},
        {"\numask ", head->umask},
        {"\noom_score_adj ", (uint64_t)(head->oom_score_adj + 1000)},
        {"\nroot_kind ", head->root_kind},
        {"\nroot_fd ", head->root_fd},
        {"\ncgroup_fd ", head->cgroup_fd},
        {"\nbounding ", head->bounding},
        {"\neffective ", head->effective},
        {"\npermitted ", head->permitted},
        {"\ninheritable ", head->inheritable},
        {"\nambient ", head->ambient},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put_number(text, numbers[i].key, numbers[i].value);
    put(text, "\nroot_base");
    put_string(text, plan,
               head->root_kind == PLAN_ROOT_OVERLAY || head->root_kind == PLAN_ROOT_IDMAPPED
                   ? head->root_base
                   : 0);
    put(text, "\nroot_options");
    put_string(text, plan, head->root_options);
    put(text, "\ncwd");
    put_string(text, plan, head->cwd);
    put(text, "\nhostname");
    put_string(text, plan, head->hostname);
    put(text, "\ndomainname");
    put_string(text, plan, head->domainname);
    put(text, "\n");
}

static void put_objects(struct text *text, const struct plan *plan) {
    uint32_t count;
    const struct plan_mount *mounts = plan_items(plan, PLAN_MOUNTS, &count);
    for (uint32_t i = 0; i < count; i++) {
        put_number(text, "mount ", mounts[i].kind);
        put_number(text, " ", mounts[i].flags);
        put_number(text, " ", mounts[i].attr);
        if (mounts[i].kind == PLAN_BIND_FD)
            put_number(text, " ", mounts[i].source);
        else
            put_string(text, plan, mounts[i].source);
        put_string(text, plan, mounts[i].target);
        put_string(text, plan, mounts[i].options);
        put_string(text, plan, mounts[i].name);
        put(text, "\n");
    }
    const struct plan_device *devices = plan_items(plan, PLAN_DEVICES, &count);
    for (uint32_t i = 0; i < count; i++) {
        put(text, "device");
        put_string(text, plan, devices[i].path);
        const uint32_t numbers[] = {devices[i].mode, devices[i].major, devices[i].minor,
                                    devices[i].uid, devices[i].gid};
        for (size_t k = 0; k < 5; k++)
            put_number(text, " ", numbers[k]);
        put(text, "\n");
    }
    const struct plan_rlimit *limits = plan_items(plan, PLAN_RLIMITS, &count);
    for (uint32_t i = 0; i < count; i++) {
        put_number(text, "rlimit ", limits[i].resource);
        put_number(text, " ", limits[i].soft);
        put_number(text, " ", limits[i].hard);
        put(text, "\n");
    }
    const struct plan_sysctl *sysctls = plan_items(plan, PLAN_SYSCTLS, &count);
    for (uint32_t i = 0; i < count; i++) {
        put(text, "sysctl");
        put_string(text, plan, sysctls[i].path);
        put_string(text, plan, sysctls[i].value);
        put(text, "\n");
    }
    const struct plan_label *labels = plan_items(plan, PLAN_LABELS, &count);
    for (uint32_t i = 0; i < count; i++) {
        put_number(text, "label ", labels[i].module);
        put_string(text, plan, labels[i].value);
        put(text, "\n");
    }
}

int kl_plan_text(const uint8_t *bytes, size_t size, char *out, size_t room, kl_error *err) {
    struct plan plan;
    struct text text = {out, room, 0};
    if (plan_open(bytes, size, PLAN_NO_FD, &plan, err) < 0)
        return -1;
    put_head(&text, &plan);
    put_strings(&text, &plan, PLAN_ARGS, "arg");
    put_strings(&text, &plan, PLAN_ENV, "env");
    put_numbers(&text, &plan, PLAN_GROUPS, 1);
    put_numbers(&text, &plan, PLAN_UID_MAP, 3);
    put_numbers(&text, &plan, PLAN_GID_MAP, 3);
    put_objects(&text, &plan);
    put_strings(&text, &plan, PLAN_MASKED, "masked");
    put_strings(&text, &plan, PLAN_READONLY, "readonly");
    put_numbers(&text, &plan, PLAN_CGROUPS, 1);
    uint32_t filter;
    plan_items(&plan, PLAN_FILTER, &filter);
    put_number(&text, "filter ", filter);
    put(&text, "\n");
    if (room > 0)
        out[text.used < room ? text.used : room - 1] = '\0';
    return (int)text.used;
}
