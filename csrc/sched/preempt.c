#include "sched.h"

#include "../cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Dry runs: take every pod of lower priority off a node, see whether the newcomer fits, and put them back one by one,
 * the more important first, as long as it still does. Those that cannot be put back are the victims. The columns are as
 * before when a dry run ends, so no cache hears of it.
 */

struct victim {
    int64_t priority, start;
    int32_t pod;
    bool violates, stays;
};

/* What candidates are compared by, in this order; the smaller is the better. */
enum criterion { VIOLATIONS, HIGHEST, SUM, COUNT, YOUTH, CRITERIA };

struct trial {
    struct kl_sched *s;
    kl_sched_query *query;
    const struct class *c;
    const int32_t *allowed;
    int32_t *left; /* scratch: disruptions left of each budget */
    size_t budgets;
    struct victim *victims;
    int32_t count, room;
};

static int list_victims(struct trial *t, int32_t node) {
    t->count = 0;
    for (int32_t p = t->s->first_pod[node]; p >= 0; p = t->s->pods[p].next) {
        const struct pod *pod = &t->s->pods[p];
        int64_t priority = t->s->classes[pod->cls]->scalar[CLASS_PRIORITY];
        if (priority >= t->c->scalar[CLASS_PRIORITY])
            continue;
        void *victims = sched_grow(t->victims, &t->room, t->count + 1, sizeof *t->victims);
        if (!victims)
            return -1;
        t->victims = victims;
        t->victims[t->count++] = (struct victim){priority, pod->start, p, false, false};
    }
    return 0;
}

static int by_importance(const void *a, const void *b) {
    const struct victim *x = a, *y = b;
    if (x->priority != y->priority)
        return x->priority > y->priority ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->pod < y->pod ? -1 : x->pod > y->pod;
}

/* Counts the budgets down in the order of importance, as if all were evicted. */
static void mark_violations(struct trial *t) {
    if (t->budgets)
        memcpy(t->left, t->allowed, t->budgets * sizeof *t->left);
    for (int32_t i = 0; i < t->count; i++) {
        const struct span *budgets = &t->s->classes[t->s->pods[t->victims[i].pod].cls]->part[PART_BUDGETS];
        for (int32_t k = 0; k < budgets->count; k++)
            if ((size_t)budgets->at[k] < t->budgets && --t->left[budgets->at[k]] < 0)
                t->victims[i].violates = true;
    }
}

static void count_victim(const struct trial *t, const struct victim *v, int32_t node, int32_t sign) {
    sched_count(t->s, t->s->classes[t->s->pods[v->pod].cls], node, sign);
}

static void put_back(struct trial *t, int32_t node, bool violating) {
    for (int32_t i = 0; i < t->count; i++) {
        struct victim *v = &t->victims[i];
        if (v->violates != violating)
            continue;
        uint64_t lacks;
        count_victim(t, v, node, 1);
        v->stays = sched_verdict(t->s, t->query, node, &lacks) == 0;
        if (!v->stays)
            count_victim(t, v, node, -1);
    }
}

/* Returns 1 when evicting the victims that do not stay makes room, 0 when nothing does, -1 without memory. */
static int dry_run(struct trial *t, int32_t node) {
    uint32_t *reasons = &t->query->reasons[node];
    if (list_victims(t, node) < 0)
        return -1;
    if (!t->count) {
        *reasons = 1u << REASON_NO_VICTIMS;
        return 0;
    }
    qsort(t->victims, (size_t)t->count, sizeof *t->victims, by_importance);
    for (int32_t i = 0; i < t->count; i++)
        count_victim(t, &t->victims[i], node, -1);
    *reasons = sched_verdict(t->s, t->query, node, &t->query->lacks[node]);
    if (!*reasons) {
        mark_violations(t);
        put_back(t, node, true);
        put_back(t, node, false);
    }
    for (int32_t i = 0; i < t->count; i++)
        if (!t->victims[i].stays)
            count_victim(t, &t->victims[i], node, 1);
    return !*reasons;
}

static void measure(const struct trial *t, int64_t *key) {
    memset(key, 0, CRITERIA * sizeof *key);
    key[HIGHEST] = INT64_MIN;
    int64_t earliest = INT64_MAX;
    for (int32_t i = 0; i < t->count; i++) {
        const struct victim *v = &t->victims[i];
        if (v->stays)
            continue;
        key[VIOLATIONS] += v->violates;
        key[SUM] += v->priority + ((int64_t)1 << 31);
        key[COUNT]++;
        if (v->priority < key[HIGHEST])
            continue;
        earliest = v->priority > key[HIGHEST] || v->start < earliest ? v->start : earliest;
        key[HIGHEST] = v->priority;
    }
    key[YOUTH] = -earliest;
}

static int compare(const int64_t *a, const int64_t *b) {
    for (int i = 0; i < CRITERIA; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static int64_t write_candidate(const struct trial *t, int32_t node, int32_t *row) {
    int64_t at = 4;
    int32_t violations = 0;
    for (int32_t i = 0; i < t->count; i++) {
        if (t->victims[i].stays)
            continue;
        row[at++] = t->victims[i].pod;
        violations += t->victims[i].violates;
    }
    row[0] = node;
    row[1] = 0;
    row[2] = violations;
    row[3] = (int32_t)at - 4;
    return at;
}

/* Whether any pod that could run has a lower priority. */
static bool outranks_somebody(const struct trial *t) {
    for (int32_t i = 0; i < t->s->class_count; i++)
        if (t->s->classes[i]->scalar[CLASS_PRIORITY] < t->c->scalar[CLASS_PRIORITY])
            return true;
    return false;
}

/* Nodes where eviction may help, in order; the others are told so. */
static int32_t list_nodes(const struct trial *t, int32_t *nodes) {
    int32_t count = 0;
    bool outranks = outranks_somebody(t);
    for (int32_t n = 0; n < t->s->nodes; n++) {
        uint32_t *reasons = &t->query->reasons[n];
        *reasons = sched_verdict(t->s, t->query, n, &t->query->lacks[n]);
        if (!sched_resolvable(t->c, *reasons))
            *reasons = 1u << REASON_NOT_HELPFUL;
        else if (!outranks)
            *reasons = 1u << REASON_NO_VICTIMS;
        else
            nodes[count++] = n;
    }
    return count;
}

static int64_t run_trials(struct trial *t, const int32_t *nodes, int32_t count, int32_t offset, int32_t wanted,
                          int32_t *out, size_t room) {
    int64_t best[CRITERIA] = {0}, key[CRITERIA], written = 0;
    int32_t found = 0, clean = 0;
    for (int32_t i = 0; i < count && !(clean && found >= wanted); i++) {
        int32_t node = nodes[(offset + i) % count];
        int fits = dry_run(t, node);
        if (fits < 0 || (fits && (size_t)written + 4 + (size_t)t->count > room))
            return -1;
        if (!fits)
            continue;
        measure(t, key);
        int better = found ? compare(key, best) : -1;
        for (int64_t at = 0; better < 0 && at < written; at += 4 + out[at + 3])
            out[at + 1] = 0;
        int64_t size = write_candidate(t, node, out + written);
        out[written + 1] = better <= 0;
        written += size;
        if (better < 0)
            memcpy(best, key, sizeof best);
        found++;
        clean += key[VIOLATIONS] == 0;
    }
    return written;
}

int64_t kl_sched_preempt(kl_sched *s, kl_sched_query *query, const int32_t *allowed, size_t budgets, int32_t offset,
                         int32_t wanted, int32_t *out, size_t room, kl_error *err) {
    if (sched_check_query(s, query, err) < 0)
        return -1;
    SCOPED_MEM int32_t *nodes = malloc(((size_t)s->nodes + 1) * sizeof *nodes);
    SCOPED_MEM int32_t *left = malloc((budgets + 1) * sizeof *left);
    if (!nodes || !left)
        return kl_fail(err, ENOMEM, "preempt", "no memory");
    struct trial t = {s, query, s->classes[query->cls], allowed, left, budgets, NULL, 0, 0};
    int32_t count = list_nodes(&t, nodes);
    int64_t written = run_trials(&t, nodes, count, count ? offset % count : 0, wanted, out, room);
    free(t.victims);
    return written < 0 ? kl_fail(err, ENOMEM, "preempt", "no memory for the victims") : written;
}
