#include "sched.h"

#include "cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * Dry runs: take every pod of lower priority off a node, see whether the newcomer fits, and put
 * them back one by one, the more important first, as long as it still does. Those that cannot be
 * put back are the victims. The columns are as before when a dry run ends, so no cache hears of it.
 */

struct victim {
    int64_t priority, start;
    int32_t pod;
    bool violates, stays;
};

struct trial {
    struct kl_sched *s;
    kl_sched_query *query;
    const struct class *c;
    const int32_t *allowed;
    int32_t *left; /* scratch: disruptions left of each budget */
    size_t budgets;
    int32_t share, least;
    uint64_t *random;
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
        const struct span *budgets =
            &t->s->classes[t->s->pods[t->victims[i].pod].cls]->part[PART_BUDGETS];
        for (int32_t k = 0; k < budgets->count; k++)
            if ((size_t)budgets->at[k] < t->budgets && --t->left[budgets->at[k]] < 0)
                t->victims[i].violates = true;
    }
}

static void count_victim(const struct trial *t, const struct victim *v, int32_t node,
                         int32_t sign) {
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

/* Returns 1 when evicting the victims that do not stay makes room, 0 when nothing does (*reasons
 * says why), -1 without memory. */
static int dry_run(struct trial *t, int32_t node, uint32_t *reasons, uint64_t *lacks) {
    if (list_victims(t, node) < 0)
        return -1;
    *reasons = 1u << REASON_NO_VICTIMS;
    if (!t->count)
        return 0;
    if (t->count > 1)
        qsort(t->victims, (size_t)t->count, sizeof *t->victims, by_importance);
    for (int32_t i = 0; i < t->count; i++)
        count_victim(t, &t->victims[i], node, -1);
    *reasons = sched_verdict(t->s, t->query, node, lacks);
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

static int32_t how_many(const struct trial *t, int32_t count) {
    int64_t wanted = (int64_t)count * t->share / 100;
    wanted = wanted < t->least ? t->least : wanted;
    return wanted < count ? (int32_t)wanted : count;
}

static int32_t start_at(const struct trial *t, int32_t count) {
    return *t->random && count ? (int32_t)(sched_random(t->random) % (uint64_t)count) : 0;
}

static int64_t run_trials(struct trial *t, const int32_t *nodes, int32_t count, int32_t *out,
                          size_t room) {
    int64_t best[CRITERIA] = {0}, key[CRITERIA], written = 0;
    int32_t found = 0, clean = 0, wanted = how_many(t, count), offset = start_at(t, count);
    for (int32_t i = 0; i < count && !(clean && found >= wanted); i++) {
        int32_t node = nodes[(offset + i) % count];
        int fits = dry_run(t, node, &t->query->reasons[node], &t->query->lacks[node]);
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

/*
 * The quick way: what a dry run came to holds until a pod comes to or leaves its node, as long as
 * the class looks at nothing beyond the node. So only touched nodes are tried again.
 */

static bool is_local(const struct class *c) {
    for (int32_t i = 0; i < c->forbids.count; i++)
        if (!c->forbids.at[i].local)
            return false;
    return !c->requires.count && !c->hard.count;
}

static int look_at(struct trial *t, struct class *c, int32_t node) {
    uint64_t lacks;
    struct outlook *outlook = &c->outlook[node];
    uint32_t reasons = sched_verdict(t->s, t->query, node, &lacks);
    outlook->state = HOPELESS;
    if (!reasons || !sched_resolvable(t->c, reasons))
        return 0;
    int fits = dry_run(t, node, &reasons, &lacks);
    outlook->state = fits > 0 ? CANDIDATE : TRIED;
    if (fits > 0)
        measure(t, outlook->key);
    return fits < 0 ? -1 : 0;
}

static bool same_budgets(const struct trial *t, const struct class *c) {
    return !t->budgets || !memcmp(c->outlook_allowed, t->allowed, t->budgets * sizeof *t->allowed);
}

static int refresh_outlook(struct trial *t, struct class *c) {
    const struct kl_sched *s = t->s;
    uint64_t now = s->log_base + (uint64_t)s->log_count;
    bool fresh = !c->outlook;
    if (fresh) {
        c->outlook = calloc((size_t)s->nodes + 1, sizeof *c->outlook);
        c->outlook_allowed = calloc(t->budgets + 1, sizeof *c->outlook_allowed);
        if (!c->outlook || !c->outlook_allowed)
            return -1;
    }
    bool all = fresh || !is_local(c) || !same_budgets(t, c) || c->outlook_seen < s->log_base;
    if (t->budgets)
        memcpy(c->outlook_allowed, t->allowed, t->budgets * sizeof *t->allowed);
    for (int32_t n = 0; all && n < s->nodes; n++)
        if (look_at(t, c, n) < 0)
            return -1;
    for (; !all && c->outlook_seen < now; c->outlook_seen++)
        if (look_at(t, c, s->log[c->outlook_seen - s->log_base]) < 0)
            return -1;
    c->outlook_seen = now;
    return 0;
}

static int32_t best_outlook(const struct trial *t, const struct class *c, const int32_t *nodes,
                            int32_t count) {
    int32_t best = -1, found = 0, clean = 0, ties = 0, wanted = how_many(t, count),
            offset = start_at(t, count);
    for (int32_t i = 0; i < count && !(clean && found >= wanted); i++) {
        int32_t node = nodes[(offset + i) % count];
        const struct outlook *outlook = &c->outlook[node];
        if (outlook->state != CANDIDATE)
            continue;
        found++;
        clean += outlook->key[VIOLATIONS] == 0;
        int better = best < 0 ? -1 : compare(outlook->key, c->outlook[best].key);
        ties = better < 0 ? 1 : ties + (better == 0);
        bool chance = better == 0 &&
                      (*t->random ? sched_random(t->random) % (uint64_t)ties == 0 : node < best);
        best = better < 0 || chance ? node : best;
    }
    return best;
}

static int64_t choose_quickly(struct trial *t, struct class *c, int32_t *nodes, int32_t *out,
                              size_t room) {
    uint32_t reasons;
    uint64_t lacks;
    if (!outranks_somebody(t))
        return 0;
    if (refresh_outlook(t, c) < 0)
        return -1;
    int32_t count = 0;
    for (int32_t n = 0; n < t->s->nodes; n++)
        if (c->outlook[n].state != HOPELESS)
            nodes[count++] = n;
    int32_t best = best_outlook(t, c, nodes, count);
    if (best < 0)
        return 0;
    int fits = dry_run(t, best, &reasons, &lacks);
    return fits < 0 || (size_t)t->count + 4 > room ? -1 : write_candidate(t, best, out);
}

int64_t kl_sched_preempt(kl_sched *s, kl_sched_query *query, const int32_t *allowed, size_t budgets,
                         int32_t share, int32_t least, uint64_t *random, int32_t *out, size_t room,
                         kl_error *err) {
    if (sched_check_query(s, query, err) < 0)
        return -1;
    SCOPED_MEM int32_t *nodes = malloc(((size_t)s->nodes + 1) * sizeof *nodes);
    SCOPED_MEM int32_t *left = malloc((budgets + 1) * sizeof *left);
    if (!nodes || !left)
        return kl_fail(err, ENOMEM, "preempt", "no memory");
    struct class *c = s->classes[query->cls];
    struct trial t = {
        .s = s, .query = query, .c = c, .allowed = allowed, .left = left, .budgets = budgets};
    t.share = share;
    t.least = least;
    t.random = random;
    int64_t written = query->reasons ? run_trials(&t, nodes, list_nodes(&t, nodes), out, room)
                                     : choose_quickly(&t, c, nodes, out, room);
    free(t.victims);
    return written < 0 ? kl_fail(err, ENOMEM, "preempt", "no memory for the victims") : written;
}
