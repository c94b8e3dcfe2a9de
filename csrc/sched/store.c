#include "sched.h"

#include "cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(kl_error *err) {
    return kl_fail(err, ENOMEM, "scheduler", "no memory for the columns");
}

static int wrong(kl_error *err, const char *what, int64_t value) {
    return kl_fail(err, EINVAL, "scheduler", "%s %lld", what, (long long)value);
}

/* Zeroed numbers from the start of a cache line: rows of eight resources then fill one each. */
static int64_t *lines(size_t count) {
    size_t size = (count * sizeof(int64_t) + 63) / 64 * 64;
    int64_t *made = aligned_alloc(64, size);
    if (made)
        memset(made, 0, size);
    return made;
}

kl_sched *kl_sched_new(int32_t nodes, int32_t resources, kl_error *err) {
    if (nodes < 0 || resources < 3 || resources > 4096)
        return wrong(err, "size", nodes), NULL;
    kl_sched *s = calloc(1, sizeof *s);
    if (!s)
        return no_memory(err), NULL;
    size_t rows = nodes ? (size_t)nodes : 1;
    s->nodes = nodes;
    s->resources = resources;
    s->alloc = lines(rows * (size_t)resources);
    s->used = lines(rows * (size_t)resources);
    s->nonzero = lines(rows * 2);
    s->first_pod = malloc(rows * sizeof *s->first_pod);
    SCOPED_MEM int32_t *domains = malloc(rows * sizeof *domains);
    bool whole = s->alloc && s->used && s->nonzero && s->first_pod && domains;
    for (int32_t n = 0; whole && n < nodes; n++)
        domains[n] = n, s->first_pod[n] = -1;
    whole = whole && kl_sched_key(s, domains, nodes, err) == KEY_NODE;
    if (whole && nodes)
        memset(domains, 0, rows * sizeof *domains);
    if (whole && kl_sched_key(s, domains, nodes ? 1 : 0, err) == KEY_CLUSTER)
        return s;
    kl_sched_free(s);
    return no_memory(err), NULL;
}

void kl_sched_free(kl_sched *s) {
    if (!s)
        return;
    for (int32_t i = 0; i < s->key_count; i++)
        free(s->keys[i].domain);
    for (int32_t i = 0; i < s->counter_count; i++) {
        free(s->counters[i]->counted);
        free(s->counters[i]->count);
        free(s->counters[i]->live);
        free(s->counters[i]);
    }
    for (int32_t i = 0; i < s->class_count; i++)
        sched_class_free(s->classes[i]);
    void *rest[] = {s->alloc,   s->used, s->nonzero,   s->keys, s->counters,
                    s->classes, s->pods, s->first_pod, s->log,  s};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        free(rest[i]);
}

int kl_sched_node(kl_sched *s, int32_t node, const int64_t *allocatable, kl_error *err) {
    if (node < 0 || node >= s->nodes)
        return wrong(err, "node", node);
    memcpy(s->alloc + (size_t)node * (size_t)s->resources, allocatable,
           (size_t)s->resources * sizeof *allocatable);
    sched_touch(s, node);
    return 0;
}

static bool is_local(const struct kl_sched *s, const struct key *key) {
    SCOPED_MEM uint8_t *taken = calloc((size_t)key->domains + 1, 1);
    for (int32_t n = 0; taken && n < s->nodes; n++)
        if (key->domain[n] >= 0 && taken[key->domain[n]]++)
            return false;
    return taken != NULL;
}

int kl_sched_key(kl_sched *s, const int32_t *domains, int32_t count, kl_error *err) {
    for (int32_t n = 0; n < s->nodes; n++)
        if (domains[n] < -1 || domains[n] >= count)
            return wrong(err, "domain", domains[n]);
    void *keys = sched_grow(s->keys, &s->key_room, s->key_count + 1, sizeof *s->keys);
    if (!keys)
        return no_memory(err);
    s->keys = keys;
    struct key key = {.domain = malloc((size_t)s->nodes * sizeof *domains + 1), .domains = count};
    if (!key.domain)
        return no_memory(err);
    memcpy(key.domain, domains, (size_t)s->nodes * sizeof *domains);
    key.local = is_local(s, &key);
    s->keys[s->key_count] = key;
    return s->key_count++;
}

/* The smallest count again from all live domains; needed only when the last domain that had it has
 * left it. */
static void find_min(const struct kl_sched *s, struct counter *t) {
    int32_t domains = s->keys[t->key].domains;
    t->min = INT32_MAX;
    t->at_min = 0;
    for (int32_t d = 0; d < domains; d++) {
        if (!t->live[d] || t->count[d] > t->min)
            continue;
        t->at_min = t->count[d] < t->min ? 1 : t->at_min + 1;
        t->min = t->count[d];
    }
}

static void count_pod(const struct kl_sched *s, struct counter *t, int32_t node, int32_t sign) {
    int32_t d = s->keys[t->key].domain[node];
    if (d < 0 || (t->counted && !t->counted[node]))
        return;
    int32_t before = t->count[d];
    t->count[d] += sign;
    t->total += sign;
    if (t->count[d] < t->min) {
        t->min = t->count[d];
        t->at_min = 1;
    } else if (t->count[d] == t->min) {
        t->at_min++;
    } else if (before == t->min && --t->at_min == 0) {
        find_min(s, t);
    }
}

static void find_live(const struct kl_sched *s, struct counter *t) {
    const struct key *key = &s->keys[t->key];
    for (int32_t n = 0; n < s->nodes; n++) {
        int32_t d = key->domain[n];
        if (d < 0 || (t->counted && !t->counted[n]) || t->live[d])
            continue;
        t->live[d] = 1;
        t->live_domains++;
    }
    find_min(s, t);
}

static int add_delta(struct kl_sched *s, int32_t cls, int32_t counter, kl_error *err) {
    if (cls < 0 || cls >= s->class_count)
        return wrong(err, "class", cls);
    struct class *c = s->classes[cls];
    int32_t *deltas = realloc(c->deltas, (size_t)(c->delta_count + 1) * sizeof *deltas);
    if (!deltas)
        return no_memory(err);
    c->deltas = deltas;
    c->deltas[c->delta_count++] = counter;
    return 0;
}

/* The pods that run already, for a counter that is new. A class that is named several times has as
 * many terms that count. */
static int count_present(struct kl_sched *s, struct counter *t, const int32_t *classes,
                         size_t count) {
    SCOPED_MEM int32_t *times = calloc((size_t)s->class_count + 1, sizeof *times);
    if (!times)
        return -1;
    for (size_t i = 0; i < count; i++)
        times[classes[i]]++;
    for (int32_t p = 0; p < s->pod_room; p++)
        for (int32_t i = s->pods[p].node < 0 ? 0 : times[s->pods[p].cls]; i > 0; i--)
            count_pod(s, t, s->pods[p].node, 1);
    return 0;
}

int kl_sched_counter(kl_sched *s, int32_t key, const uint8_t *counted, const int32_t *classes,
                     size_t count, kl_error *err) {
    if (key < 0 || key >= s->key_count)
        return wrong(err, "key", key);
    void *counters =
        sched_grow(s->counters, &s->counter_room, s->counter_count + 1, sizeof *s->counters);
    if (!counters)
        return no_memory(err);
    s->counters = counters;
    struct counter *t = calloc(1, sizeof *t);
    if (!t)
        return no_memory(err);
    s->counters[s->counter_count++] = t;
    size_t domains = (size_t)s->keys[key].domains + 1;
    t->key = key;
    t->count = calloc(domains, sizeof *t->count);
    t->live = calloc(domains, 1);
    t->counted = counted ? malloc((size_t)s->nodes + 1) : NULL;
    if (!t->count || !t->live || (counted && !t->counted))
        return no_memory(err);
    if (counted)
        memcpy(t->counted, counted, (size_t)s->nodes);
    find_live(s, t);
    for (size_t i = 0; i < count; i++)
        if (add_delta(s, classes[i], s->counter_count - 1, err) < 0)
            return -1;
    return count_present(s, t, classes, count) < 0 ? no_memory(err) : s->counter_count - 1;
}

/* Remembers that a node changed. A class whose values are older than the log makes them anew. */
void sched_touch(struct kl_sched *s, int32_t node) {
    if (s->log_count > 2 * s->nodes + 1024) {
        s->log_base += (uint64_t)s->log_count;
        s->log_count = 0;
    }
    void *log = sched_grow(s->log, &s->log_room, s->log_count + 1, sizeof *s->log);
    if (!log) { /* without a log every value is made anew: slower, never wrong */
        s->log_base += (uint64_t)s->log_count + 1;
        s->log_count = 0;
        return;
    }
    s->log = log;
    s->log[s->log_count++] = node;
}

/* A volume that several pods of a node share is attached once. */
static void count_volumes(const struct kl_sched *s, const struct class *c, int32_t node,
                          int32_t sign) {
    int64_t *used = s->used + (size_t)node * (size_t)s->resources;
    for (int32_t i = 0; i < c->volumes.count; i++) {
        int32_t there = c->volumes.at[i].counter->count[node];
        if (there == (sign > 0 ? 0 : 1))
            used[c->volumes.at[i].words[0]] += sign;
    }
}

void sched_count(struct kl_sched *s, const struct class *c, int32_t node, int32_t sign) {
    int64_t *used = s->used + (size_t)node * (size_t)s->resources;
    const int64_t *request = c->part[PART_REQUESTS].at;
    for (int32_t i = 0; i < c->part[PART_REQUESTS].count; i++, request += 3)
        used[request[0]] += sign * request[1];
    s->nonzero[2 * (size_t)node] += sign * c->scalar[CLASS_NONZERO_CPU];
    s->nonzero[2 * (size_t)node + 1] += sign * c->scalar[CLASS_NONZERO_MEMORY];
    if (c->volumes.count)
        count_volumes(s, c, node, sign);
    for (int32_t i = 0; i < c->delta_count; i++)
        count_pod(s, s->counters[c->deltas[i]], node, sign);
}

static void link_pod(struct kl_sched *s, int32_t p) {
    struct pod *pod = &s->pods[p];
    pod->prev = -1;
    pod->next = s->first_pod[pod->node];
    if (pod->next >= 0)
        s->pods[pod->next].prev = p;
    s->first_pod[pod->node] = p;
}

static void unlink_pod(struct kl_sched *s, int32_t p) {
    struct pod *pod = &s->pods[p];
    if (pod->next >= 0)
        s->pods[pod->next].prev = pod->prev;
    if (pod->prev >= 0)
        s->pods[pod->prev].next = pod->next;
    else
        s->first_pod[pod->node] = pod->next;
}

static int pod_room(struct kl_sched *s, int64_t pod) {
    int32_t old = s->pod_room;
    if (pod >= INT32_MAX - 1)
        return -1;
    void *pods = sched_grow(s->pods, &s->pod_room, (int32_t)pod + 1, sizeof *s->pods);
    if (!pods)
        return -1;
    s->pods = pods;
    for (int32_t i = old; i < s->pod_room; i++)
        s->pods[i].node = -1;
    return 0;
}

static int move_pod(struct kl_sched *s, const int64_t *row, kl_error *err) {
    if (row[0] < 0 || row[2] >= s->nodes ||
        (row[2] >= 0 && (row[1] < 0 || row[1] >= s->class_count)))
        return wrong(err, "pod", row[0]);
    if (pod_room(s, row[0]) < 0)
        return no_memory(err);
    struct pod *pod = &s->pods[row[0]];
    if (pod->node >= 0) {
        unlink_pod(s, (int32_t)row[0]);
        sched_count(s, s->classes[pod->cls], pod->node, -1);
        sched_touch(s, pod->node);
    }
    pod->node = row[2] < 0 ? -1 : (int32_t)row[2];
    if (pod->node < 0)
        return 0;
    pod->cls = (int32_t)row[1];
    pod->start = row[3];
    link_pod(s, (int32_t)row[0]);
    sched_count(s, s->classes[pod->cls], pod->node, 1);
    sched_touch(s, pod->node);
    return 0;
}

int kl_sched_pods(kl_sched *s, const int64_t *rows, size_t count, kl_error *err) {
    for (size_t i = 0; i < count; i++)
        if (move_pod(s, rows + 4 * i, err) < 0)
            return -1;
    return 0;
}
