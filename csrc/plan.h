/*
 * The flat launch plan: everything one process start needs, as bytes. core/plan.py writes it,
 * plan.c checks and opens it; nothing is done before all of it has been checked. Little endian;
 * every section is 8-byte aligned.
 *
 *   struct plan_head | sections in any order
 *
 * A string is an offset into the STRINGS section, which ends with NUL; offset 0 is the empty
 * string, which means "none" where a string is optional. Descriptors are named by their index in
 * the message that carried the plan. A newer writer may use a larger head and more sections: a
 * reader uses those it knows and refuses unknown flags, kinds and a higher major version.
 */
#ifndef KL_PLAN_H
#define KL_PLAN_H

#include "error.h"

#define PLAN_MAGIC 0x504c424bu /* "KBLP" */
#define PLAN_VERSION 1
#define MAX_PLAN_SIZE (8u << 20)
#define PLAN_NO_FD 0xffffffffu

enum plan_flag {
    PLAN_NO_NEW_PRIVS = 1u << 0,
    PLAN_READONLY_ROOT = 1u << 1,
    PLAN_TERMINAL = 1u << 2,    /* stdio is a terminal made inside the container */
    PLAN_OOM_SCORE = 1u << 3,   /* set oom_score_adj */
    PLAN_CAPS = 1u << 4,        /* set the five capability sets; without it they stay as they are */
    PLAN_SECCOMP = 1u << 5,     /* the FILTER section holds a filter */
    PLAN_SECCOMP_LOG = 1u << 6, /* its SECCOMP_FILTER_FLAG_LOG */
    PLAN_SECCOMP_SPEC = 1u << 7, /* its SECCOMP_FILTER_FLAG_SPEC_ALLOW */
    PLAN_ALL_FLAGS = (1u << 8) - 1,
};

enum plan_root {
    PLAN_ROOT_KEEP = 0,    /* stay in the root of the joined mount namespace (exec) */
    PLAN_ROOT_EMPTY = 1,   /* an empty read-only tmpfs (pause) */
    PLAN_ROOT_OVERLAY = 2, /* overlay with root_options, its paths relative to root_base */
    PLAN_ROOT_FD = 3,      /* a detached mount passed as descriptor root_fd */
    /* Overlay id-mapped to the joined user namespace; root_options is "LOWER:LOWER,UPPER", relative
     * to root_base; UPPER holds the directories upper and work. */
    PLAN_ROOT_IDMAPPED = 4,
};

enum plan_section {
    PLAN_STRINGS, /* bytes */
    PLAN_ARGS,   /* uint32_t string[]: argv; argv[0] is looked up in PATH of ENV in the container */
    PLAN_ENV,    /* uint32_t string[] */
    PLAN_GROUPS, /* uint32_t gid[]: supplementary groups */
    PLAN_UID_MAP,  /* struct plan_idmap[] */
    PLAN_GID_MAP,  /* struct plan_idmap[] */
    PLAN_MOUNTS,   /* struct plan_mount[], carried out in order */
    PLAN_MASKED,   /* uint32_t string[]: absolute paths hidden from the container */
    PLAN_READONLY, /* uint32_t string[]: absolute paths made read-only */
    PLAN_DEVICES,  /* struct plan_device[]: nodes beyond the default ones */
    PLAN_RLIMITS,  /* struct plan_rlimit[] */
    PLAN_SYSCTLS,  /* struct plan_sysctl[] */
    PLAN_CGROUPS, /* uint32_t descriptor[]: "tasks" or "cgroup.procs", the child writes 0 to each */
    PLAN_FILTER,  /* struct sock_filter[] as bytes */
    PLAN_LABELS,  /* struct plan_label[] */
    PLAN_SECTIONS
};

enum plan_mount_kind {
    PLAN_BIND,    /* source: absolute path in the pod's mount namespace */
    PLAN_BIND_FD, /* source: descriptor index of a detached mount */
    PLAN_PROC,
    PLAN_SYSFS,
    PLAN_TMPFS, /* options: "size=64m,mode=1777,..." */
    PLAN_MQUEUE,
    PLAN_DEV, /* tmpfs with the default nodes and links, and a devpts of its own below */
    PLAN_CGROUP2,
    PLAN_LAYERS,    /* overlay without a writable layer; source: directory, options: "lowerdir=..."
                    relative to it */
    PLAN_HUGETLBFS, /* options: "pagesize=2097152,..." */
    PLAN_MOUNT_KINDS
};

enum plan_mount_flag {
    PLAN_MOUNT_RECURSIVE = 1u << 0, /* bind: with what is mounted below */
    PLAN_MOUNT_FILE = 1u << 1,      /* the target is a file; make one if it is missing */
    PLAN_MOUNT_SUBPATH =
        1u << 2, /* bind: `options` is a path below the source, resolved without leaving it */
    PLAN_MOUNT_OWN = 1u << 3,        /* bind: the source is the pod's alone, and may be chowned */
    PLAN_MOUNT_ATTR_BELOW = 1u << 4, /* bind: attributes hold for the mounts below too */
    PLAN_MOUNT_SLAVE = 1u << 5,      /* bind: what is mounted below the source later appears here */
    PLAN_MOUNT_SHARED = 1u << 6,     /* and what is mounted here appears at the source */
    PLAN_MOUNT_ALL_FLAGS = (1u << 7) - 1,
};

struct plan_ref {
    uint32_t offset, count;
};
struct plan_idmap {
    uint32_t inside, outside, size;
};
struct plan_mount {
    uint32_t kind, flags;
    uint32_t attr;   /* MOUNT_ATTR_RDONLY | NOSUID | NODEV | NOEXEC | NOATIME */
    uint32_t source; /* string, or descriptor index */
    uint32_t
        target; /* string: absolute path in the container; of a pod mount in the shim's namespace */
    uint32_t options; /* string */
    uint32_t name;    /* string: what to call it in errors ("volume data") */
};
struct plan_device {
    uint32_t path, mode; /* mode: S_IFCHR or S_IFBLK with permission bits */
    uint32_t major, minor, uid, gid;
};
struct plan_rlimit {
    uint32_t resource, pad;
    uint64_t soft, hard;
};
struct plan_sysctl {
    uint32_t path, value; /* path below /proc/sys with slashes */
};

/* The label or profile that a security module confines the program by, from its execution on. */
enum plan_module {
    PLAN_APPARMOR, /* value: "exec PROFILE" */
    PLAN_SELINUX,  /* value: "USER:ROLE:TYPE:LEVEL" */
    PLAN_MODULES
};
struct plan_label {
    uint32_t module, value;
};

struct plan_head {
    uint32_t magic;
    uint16_t version, head_size;
    uint32_t total, flags;
    uint32_t new_ns,
        join_ns; /* CLONE_NEW* masks; join_ns: those of pause, or of an exec's container */
    uint32_t uid, gid, umask;
    int32_t oom_score_adj;
    uint32_t root_kind, root_fd;
    uint32_t root_base, root_options;   /* strings */
    uint32_t cwd, hostname, domainname; /* strings */
    uint32_t cgroup_fd; /* index of a cgroup v2 directory for CLONE_INTO_CGROUP, or PLAN_NO_FD */
    uint64_t bounding, effective, permitted, inheritable, ambient;
    struct plan_ref sections[PLAN_SECTIONS];
};

/* A checked plan: pointers into the caller's bytes, which must outlive it. */
struct plan {
    const struct plan_head *head;
    const uint8_t *bytes;
};

int plan_open(const uint8_t *bytes, size_t size, size_t descriptors, struct plan *plan,
              kl_error *err);

static inline const char *plan_string(const struct plan *plan, uint32_t offset) {
    return (const char *)plan->bytes + plan->head->sections[PLAN_STRINGS].offset + offset;
}

static inline const void *plan_items(const struct plan *plan, enum plan_section section,
                                     uint32_t *count) {
    *count = plan->head->sections[section].count;
    return plan->bytes + plan->head->sections[section].offset;
}

#endif
