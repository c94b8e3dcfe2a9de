/*
 * The whole interface to Python. setup.py copies the part between the two marks into the cffi
 * module. Bytes, integers and descriptors cross it; no callback, and no pointer is kept after a
 * call.
 *
 * Every function that can fail returns -1 and fills *err; descriptors it returns are close-on-exec
 * and belong to the caller.
 */
#ifndef KUBELITE_H
#define KUBELITE_H

#include <stddef.h>
#include <stdint.h>

/* cffi: begin */

/* What failed: errno value, the step ("mount volume"), and the object it was done to ("data at
 * /srv"). */
typedef struct kl_error {
    int32_t code;
    char step[48];
    char object[256];
} kl_error;

/* Checks a launch plan. Returns 0 when every offset, count and value in it is valid. */
int kl_plan_check(const uint8_t *bytes, size_t size, size_t descriptors, kl_error *err);

/* Writes the decoded plan as text (one "key value" line per item) into out; returns the length
 * needed without the NUL. */
int kl_plan_text(const uint8_t *bytes, size_t size, char *out, size_t room, kl_error *err);

/* Starts the program behind `program` (a descriptor) detached from the caller, as a child of
 * nobody. `argv` and `envp` are NUL-separated strings ended by an empty one. fds[i] becomes
 * descriptor 3 + i of the program; all others are closed. Returns the pid and stores a pidfd in
 * *pidfd. */
int kl_shim_launch(int program, const char *argv, const char *envp, const int *fds, size_t count,
                   int *pidfd, kl_error *err);

/* Attaches an eBPF program of `size` bytes to a v2 cgroup (a descriptor of its directory), which it
 * asks about devices. */
int kl_device_filter(int cgroup, const uint8_t *program, size_t size, kl_error *err);

/* Makes sure that the bridge exists, is up and has the address; returns 1 when it was made now, 0
 * when it existed. IPv4 addresses are in host byte order, here and below. Where `upper` is not
 * NULL, everything that has an IPv4 address gets an IPv6 address beside it: these 12 bytes, then
 * those of the IPv4 address, and a prefix as much shorter than its length. */
int kl_net_bridge(const char *name, uint32_t address, uint32_t prefix, const uint8_t *upper,
                  kl_error *err);

/* The whole network of a pod: loopback, and `pod_name` in the namespace behind `netns` with address
 * and default route, its other end `host_name` a port of the bridge. An existing interface
 * `host_name` is replaced. Returns 0; on failure nothing of it stays. */
int kl_net_attach(int netns, const char *bridge, const char *host_name, const char *pod_name,
                  uint32_t address, uint32_t prefix, uint32_t gateway, const uint8_t *upper,
                  kl_error *err);

/* Limits what leaves an interface to rate bytes a second, and burst bytes at once; netns is a
 * descriptor of its network namespace, or -1 for the caller's. */
int kl_net_limit(int netns, const char *name, uint64_t rate, uint32_t burst, kl_error *err);

/* Connects the host's end of an attached pod with the bridge again, as after the bridge was deleted
 * by somebody and made anew; returns 1, or 0 when there is no such interface. */
int kl_net_plug(const char *bridge, const char *host_name, uint32_t address, const uint8_t *upper,
                kl_error *err);

/* Undoes kl_net_attach; returns 1, or 0 when there was no such interface. */
int kl_net_detach(const char *bridge, const char *host_name, uint32_t address, const uint8_t *upper,
                  kl_error *err);

/* Removes an interface, and with one end of a pair the other; returns 1, or 0 when there was
 * none. */
int kl_net_delete(const char *name, kl_error *err);

/* Runs commands of nft(8) as one transaction in the network namespace of this thread. Returns 0
 * with their output, as JSON, in *text, or 1 with the error message; -1 with ENOENT when
 * libnftables is not installed. *text is to be freed with kl_text_free. */
int kl_nft_run(const char *commands, char **text, kl_error *err);
void kl_text_free(char *text);

/* openat2(2): flags O_*, resolve RESOLVE_*. Returns a descriptor. */
int kl_openat2(int dir, const char *path, uint64_t flags, uint64_t resolve, kl_error *err);

/* A detached copy of the mounts at a descriptor and below it, which stay peers of those of the
 * host: what is mounted in one is mounted in the other. Returns its descriptor. */
int kl_clone_mounts(int fd, kl_error *err);

/* setns(2) and unshare(2) of the calling thread; CLONE_NEW*. */
int kl_setns(int ns, int type, kl_error *err);
int kl_unshare(int flags, kl_error *err);

/* Makes pages of this process its own at once, as writing to each would: `ranges` are `count` pairs
 * of address and length in bytes, of whole pages. What is not mapped is left out. */
void kl_populate(const uint64_t *ranges, size_t count);

/* Writes the file system of a descriptor to disk, syncfs(2). */
int kl_syncfs(int fd, kl_error *err);

/* Watches a file or directory for the events in mask. With fd -1 by a new non-blocking inotify(7)
 * descriptor, which is returned and whose first events carry the number 1; else by this one, and the
 * number that the events of path carry is returned: its own, where it is watched already. */
int kl_inotify(int fd, const char *path, uint32_t mask, kl_error *err);

/* The scheduler's inner loop over columns of numbers; what they mean in Kubernetes' terms,
 * kubelite/control/scheduler knows. All memory belongs to the opaque object. Nodes, keys, counters,
 * classes and pods are named by their number, from 0. */
typedef struct kl_sched kl_sched;

/* The scores of a profile, in the order in which weights and rows of scores stand. */
enum {
    KL_SCHED_TAINT_TOLERATION,
    KL_SCHED_NODE_AFFINITY,
    KL_SCHED_NODE_RESOURCES_FIT,
    KL_SCHED_NODE_RESOURCES_BALANCED_ALLOCATION,
    KL_SCHED_POD_TOPOLOGY_SPREAD,
    KL_SCHED_INTER_POD_AFFINITY,
    KL_SCHED_IMAGE_LOCALITY,
    KL_SCHED_SCORES,
};

/* One decision in full. Outputs have an entry for each node, scores a row of nodes for each
 * KL_SCHED_*; unscored is -1. */
typedef struct kl_sched_query {
    int32_t cls,
        wanted; /* wanted: score only so many feasible nodes, from a rotating start; 0: all */
    const uint8_t *candidates; /* nodes to score, a byte each; NULL: all */
    const uint32_t *against;   /* more reasons against each node; NULL: none */
    const int32_t *extra;      /* more weighted score for each node; NULL: none */
    const int32_t *nominated;  /* pairs of class and node: pods that are about to run there */
    size_t nominated_count;
    uint32_t *reasons;
    uint64_t *lacks;
    int32_t *scores;
    int64_t *totals;
    uint32_t skipped; /* out: scores to which nothing contributed, a bit each */
} kl_sched_query;

/* A cluster of so many nodes and resources (0 pods, 1 cpu, 2 memory) without allocatable resources.
 * NULL on failure. */
kl_sched *kl_sched_new(int32_t nodes, int32_t resources, kl_error *err);
void kl_sched_free(kl_sched *s);

/* Sets the allocatable amount of every resource of a node. */
int kl_sched_node(kl_sched *s, int32_t node, const int64_t *allocatable, kl_error *err);

/* Adds a topology key: the domain of each node below `count`, or -1. Keys 0 (each node) and 1 (all
 * nodes) are there. */
int kl_sched_key(kl_sched *s, const int32_t *domains, int32_t count, kl_error *err);

/* Adds a counter of the pods of `classes` on the nodes of `counted` (a byte each; NULL: all), per
 * domain of a key. */
int kl_sched_counter(kl_sched *s, int32_t key, const uint8_t *counted, const int32_t *classes,
                     size_t count, kl_error *err);

/* Adds a class of equal pods, from its program (csrc/sched/sched.h). */
int kl_sched_class(kl_sched *s, const int64_t *words, size_t count, kl_error *err);

/* For the nodes whose bit is set: column 0 takes `value` as reasons, 1 to 3 add it to the raw score
 * of taints, preference, image. */
int kl_sched_column(kl_sched *s, int32_t cls, int32_t column, const uint8_t *bits, size_t size,
                    int64_t value, kl_error *err);

/* Pods come or go: rows of pod, class, node (-1: it goes) and start time. */
int kl_sched_pods(kl_sched *s, const int64_t *rows, size_t count, kl_error *err);

/* Decides for and places one pod after the other. Ends early at the first that fits nowhere (node
 * -1, counted in the result) or whose class asks for it. nodes[i] is the only node that pod i may
 * go to, or -1, and becomes where it went. *random breaks ties and moves on; 0: the lowest node
 * wins. Returns how many were decided. */
int64_t kl_sched_run(kl_sched *s, const int32_t *pods, const int32_t *classes, size_t count,
                     uint64_t *random, int32_t *nodes, kl_error *err);

/* Fills the outputs of the query. Returns the chosen node, -1 when there is none, -2 on failure. */
int kl_sched_rate(kl_sched *s, kl_sched_query *query, uint64_t *random, kl_error *err);

/* Dry runs of preemption on the nodes that the query's filters reject resolvably, from a random one
 * of them, until the larger of `share` percent and `least` have been found. allowed: disruptions
 * left of each budget. Candidates are written as rows of node, is it among the best, violations,
 * number of victims, and then the victims' pods. Returns the number of words written; room must
 * hold 4 words a node and one a pod. `reasons` of the query becomes what stood against each node
 * after its dry run; where it is NULL only a row for one of the best is written, and what earlier
 * calls found is used again. */
int64_t kl_sched_preempt(kl_sched *s, kl_sched_query *query, const int32_t *allowed, size_t budgets,
                         int32_t share, int32_t least, uint64_t *random, int32_t *out, size_t room,
                         kl_error *err);

/* cffi: end */

#endif
