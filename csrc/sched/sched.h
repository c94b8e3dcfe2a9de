/*
 * What the units of the scheduler core share: the columns of the cluster, the counters per topology
 * domain, and the classes of equal pods. Nothing here knows Kubernetes' objects, a clock or the
 * kernel; kubelite/control/scheduler turns objects into these numbers.
 *
 *   grow.c     room for one more item of an array
 *   store.c    columns, topology keys, counters, pods: what changes when a pod comes or goes
 *   class.c    a class of equal pods: its decoded program, its static columns, its groups of nodes
 *   filter.c   may a pod of a class run on a node, and if not, why
 *   score.c    the raw scores of a node, and how they are normalised
 *   buckets.c  nodes by their cell and value, for classes whose scores count the pods on each node
 *   cache.c    what is remembered of a class: a value per node, refreshed where pods came or went
 *   choose.c   the loop: the best node for one pod after the other, from the cache
 *   rate.c     one decision in full: every verdict and score of every node
 *   preempt.c  whom to evict, and where
 */
#ifndef KL_SCHED_H
#define KL_SCHED_H

#include "error.h"

#include <stdbool.h>

#pragma GCC visibility push(hidden) /* calls between the units need no detour */

#define KEY_NODE 0    /* every node is a domain of its own */
#define KEY_CLUSTER 1 /* all nodes are one domain */

struct key {
    int32_t *domain; /* of each node; -1: the node lacks the label */
    int32_t domains;
    bool local; /* no domain has two nodes: its counts change only when a pod comes to or leaves the
                   node itself */
};

/* Pods of certain classes, counted per domain of a key. */
struct counter {
    int32_t key;
    uint8_t *counted; /* nodes whose pods count; NULL: all */
    int32_t *count;   /* per domain */
    uint8_t *live;    /* domains that have a counted node */
    int32_t live_domains;
    int64_t total;
    int32_t min, at_min; /* over live domains, and how many of them are there */
};

struct span {
    const int64_t *at;
    int32_t count;
};

struct term {
    const struct counter *counter;
    const int32_t *domain;
    const int32_t *present; /* of soft spread: -1 where the node lacks the label (counts per host
                               name are per node) */
    const int64_t *words;   /* the rest of its row in the class's program */
    bool local;
};

struct terms {
    struct term *at;
    int32_t count;
};

/* The place of each number in a class's program; kubelite/control/scheduler/program.py writes them
 * in this order. */
enum class_scalar {
    CLASS_PRIORITY,
    CLASS_NONZERO_CPU,
    CLASS_NONZERO_MEMORY,
    CLASS_FLAGS,
    CLASS_FIT_STRATEGY,
    CLASS_ENABLED, /* bit per score */
    CLASS_WEIGHTS, /* KL_SCHED_SCORES of them */
    CLASS_SCALARS = CLASS_WEIGHTS + KL_SCHED_SCORES,
};

/* Reasons against a node, a bit each; kubelite/control/scheduler/reasons.py has their texts under
 * the same numbers. */
enum reason {
    REASON_PORTS = 5,
    REASON_SHORT,
    REASON_SHORT_FOR_GOOD, /* comes with REASON_SHORT: more than the node has at all */
    REASON_DISK,
    REASON_SINGLE_POD_CLAIM,
    REASON_VOLUME_LIMIT,
    REASON_NO_SPREAD_LABEL = 16,
    REASON_SPREAD,
    REASON_POD_AFFINITY,
    REASON_POD_ANTI_AFFINITY,
    REASON_EXISTING_ANTI_AFFINITY,
    REASON_NOT_HELPFUL = 30, /* of dry runs: not tried, eviction cannot help */
    REASON_NO_VICTIMS,       /* of dry runs: nobody there has a lower priority */
};

enum class_flag {
    FLAG_SELF_AFFINITY = 1, /* the pod matches all of its own required affinity terms */
    FLAG_ALL_KEYS = 2,      /* soft spread leaves out nodes that lack one of the keys */
    FLAG_CHANGE = 4,        /* balanced allocation scores the change, not the state */
    FLAG_STOP = 8,          /* a run ends after such a pod: placing it changes more than counts */
};

enum fit_strategy {
    FIT_NONE,
    FIT_LEAST_ALLOCATED,
    FIT_MOST_ALLOCATED,
    FIT_REQUESTED_TO_CAPACITY_RATIO
};

enum class_section {
    PART_REQUESTS, /* resource, amount, is it checked */
    PART_DELTAS,   /* counter */
    PART_FORBIDS,  /* counter, reason bit */
    PART_REQUIRES, /* counter */
    PART_HARD,     /* counter, maxSkew, minDomains, does the pod count itself */
    PART_SOFT,     /* counter, maxSkew, key, is it the host name */
    PART_AFFINITY, /* counter, weight */
    PART_VOLUMES,  /* counter, resource */
    PART_FIT,      /* resource, weight, amount */
    PART_SHAPE,    /* utilisation, score */
    PART_BALANCED, /* resource, amount */
    PART_BUDGETS,  /* disruption budget */
    PART_RANK,     /* of each reason bit: where its filter stands in the profile */
    CLASS_PARTS,
};

/* Nodes that differ in nothing a class looks at beyond the node itself. */
struct cell {
    int32_t group, nodes; /* feasible ones */
    int32_t best;         /* value of its best node */
    bool fits, ignored;   /* in this decision; left out of soft spread */
    int64_t spread, affinity;
};

/* What candidates for preemption are compared by, in this order; the smaller is the better. */
enum criterion { VIOLATIONS, HIGHEST, SUM, COUNT, YOUTH, CRITERIA };

/* What a dry run on a node came to. */
struct outlook {
    int64_t key[CRITERIA];
    enum { HOPELESS, TRIED, CANDIDATE } state;
};

/* Feasible nodes of one cell and one value, in no order. */
struct bucket {
    int32_t cell, value, count, room, *nodes;
};

struct class {
    int64_t *words;
    const int64_t *scalar;
    struct span part[CLASS_PARTS];
    int32_t *deltas, delta_count;
    struct terms forbids, requires, hard, soft, affinity, volumes;
    uint32_t *fixed;                  /* reasons that no pod can change, per node; NULL: none */
    int32_t *taints, *prefer, *image; /* raw scores that no pod can change; NULL: 0 */

    /* The cache. Values stand in the order of `node_at`: group by group, ascending nodes inside. */
    bool built;
    int32_t groups, *group, *place, *node_at, *group_start,
        *group_block; /* NULL where one group holds all nodes in order */
    int32_t block;    /* values below one maximum: about the root of their number */
    int32_t blocks, *block_max, *block_ties;
    int32_t *value; /* weighted scores that depend on the node alone; -1: infeasible */
    uint64_t seen;  /* the log up to here is in the values */
    bool alone;     /* required affinity was waived when the values were made */
    int32_t *mins;  /* of local hard constraints, at that time */
    int32_t feasible;
    struct cell *cells;
    int32_t *cell_score; /* of this decision; -1: its nodes are out */
    int32_t cell_count, cell_room, local_scores;
    int32_t *cell_local, *cell_table, cell_table_size; /* only with local scores, as are buckets */
    struct bucket *buckets;
    int32_t bucket_count, bucket_room, *bucket_of, *bucket_at, *bucket_table, bucket_table_size;
    int32_t *stamps, stamp;  /* scratch for counting distinct domains */
    struct outlook *outlook; /* of each node, if pods of the class have ever preempted */
    uint64_t outlook_seen;
    int32_t *outlook_allowed; /* the budgets it holds for */
};

struct pod {
    int32_t cls, node; /* -1: not there */
    int32_t next, prev;
    int64_t start;
};

struct kl_sched {
    int32_t nodes, resources;
    int64_t *alloc, *used; /* a row of resources for each node */
    int64_t *nonzero;      /* cpu and memory for each node, missing requests filled in */
    struct key *keys;
    int32_t key_count, key_room;
    struct counter **counters;
    int32_t counter_count, counter_room;
    struct class **classes;
    int32_t class_count, class_room;
    struct pod *pods;
    int32_t pod_room;
    int32_t *first_pod; /* of each node */
    int32_t *log; /* nodes in the order they were touched; entry i is touch number log_base + i */
    uint64_t log_base;
    int32_t log_count, log_room;
    int32_t start; /* where a sampled scan begins */
};

/* store.c */
void *sched_grow(void *old, int32_t *room, int32_t need, size_t size);
void sched_touch(struct kl_sched *s, int32_t node);
/* Adds (sign 1) or takes away (-1) what a pod of the class uses on the node, without telling the
 * caches. */
void sched_count(struct kl_sched *s, const struct class *c, int32_t node, int32_t sign);

/* class.c */
void sched_class_free(struct class *c);

/* filter.c */
bool sched_alone(const struct class *c);
/* All reasons against the node: bits of enum reason. `lacks` has a bit for each row of
 * PART_REQUESTS that is short. */
uint32_t sched_reasons(const struct kl_sched *s, const struct class *c, int32_t node,
                       uint64_t *lacks);
/* The same verdict in two halves: what depends on the node alone, and what its domains decide. */
bool sched_node_fits(const struct kl_sched *s, const struct class *c, int32_t node, bool alone);
bool sched_group_fits(const struct class *c, int32_t node, bool alone);
bool sched_resolvable(const struct class *c, uint32_t reasons);

/* score.c */
int32_t sched_fit_score(const struct kl_sched *s, const struct class *c, int32_t node);
int32_t sched_balanced_score(const struct kl_sched *s, const struct class *c, int32_t node);
bool sched_spread_ignores(const struct class *c, int32_t node);
int32_t sched_spread_norm(int64_t raw, int64_t min, int64_t max);
int32_t sched_affinity_norm(int64_t raw, int64_t min, int64_t max);
int32_t sched_ratio_norm(int64_t raw, int64_t max);
int64_t sched_round(double x);

/* buckets.c */
int sched_buckets_set_up(const struct kl_sched *s, struct class *c);
void sched_buckets_clear(const struct kl_sched *s, struct class *c);
void sched_buckets_free(struct class *c);
/* Puts a node where it belongs now; a value of -1 takes it out. Tells the cells how many nodes they
 * have. */
int sched_buckets_put(struct class *c, int32_t node, int32_t group, int32_t value);

/* cache.c */
int sched_cells_grow(struct class *c, int32_t need);
int sched_refresh(const struct kl_sched *s, struct class *c);
static inline int32_t first_node(const struct class *c, int32_t group) {
    return c->node_at ? c->node_at[c->group_start[group]] : 0;
}

/* rate.c */
int sched_check_query(const struct kl_sched *s, const kl_sched_query *q, kl_error *err);
/* Reasons against the node with the pods that are nominated there, and if none, without them. */
uint32_t sched_verdict(struct kl_sched *s, const kl_sched_query *q, int32_t node, uint64_t *lacks);

/* choose.c */
uint64_t sched_random(uint64_t *state);

static inline int64_t weight_of(const struct class *c, int score) {
    return c->scalar[CLASS_WEIGHTS + score];
}
static inline bool enabled(const struct class *c, int score) {
    return c->scalar[CLASS_ENABLED] >> score & 1;
}
static inline int32_t count_at(const struct term *term, int32_t node) {
    int32_t d = term->domain[node];
    return d < 0 ? 0 : term->counter->count[d];
}

#pragma GCC visibility pop

#endif
