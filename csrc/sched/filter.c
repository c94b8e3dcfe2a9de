#include "sched.h"

/* True while no pod anywhere matches the required affinity of a pod that matches it itself: the
 * first of its group. */
bool sched_alone(const struct class *c) {
    if (!c->requires.count || !(c->scalar[CLASS_FLAGS] & FLAG_SELF_AFFINITY))
        return false;
    for (int32_t i = 0; i < c->requires.count; i++)
        if (c->requires.at[i].counter->total)
            return false;
    return true;
}

static bool required_here(const struct term *term, int32_t node, bool alone) {
    return term->domain[node] >= 0 && (alone || count_at(term, node) > 0);
}

static bool skewed(const struct term *term, int32_t node) {
    const struct counter *t = term->counter;
    int64_t max_skew = term->words[0], min_domains = term->words[1], self = term->words[2];
    int64_t min = t->live_domains < min_domains || !t->live_domains ? 0 : t->min;
    return count_at(term, node) + self - min > max_skew;
}

/* Hard constraints in the pod's order: the first that fails is the reason. */
static uint32_t spread_reasons(const struct class *c, int32_t node) {
    for (int32_t i = 0; i < c->hard.count; i++) {
        if (c->hard.at[i].domain[node] < 0)
            return 1u << REASON_NO_SPREAD_LABEL;
        if (skewed(&c->hard.at[i], node))
            return 1u << REASON_SPREAD;
    }
    return 0;
}

static bool short_of(const int64_t *request, const int64_t *alloc, const int64_t *used) {
    return request[2] && request[1] > alloc[request[0]] - used[request[0]];
}

static uint32_t resource_reasons(const struct kl_sched *s, const struct class *c, int32_t node,
                                 uint64_t *lacks) {
    const int64_t *alloc = s->alloc + (size_t)node * (size_t)s->resources;
    const int64_t *used = s->used + (size_t)node * (size_t)s->resources;
    const int64_t *request = c->part[PART_REQUESTS].at;
    uint32_t reasons = 0;
    *lacks = 0;
    for (int32_t i = 0; i < c->part[PART_REQUESTS].count; i++, request += 3) {
        if (!short_of(request, alloc, used))
            continue;
        *lacks |= 1ull << i;
        reasons |= 1u << REASON_SHORT;
        if (request[0] &&
            request[1] > alloc[request[0]]) /* resource 0 counts pods, which can leave */
            reasons |= 1u << REASON_SHORT_FOR_GOOD;
    }
    return reasons;
}

/* Volumes that are not on the node yet, against what each driver can still attach. Rows of a driver
 * stand together. */
static bool volumes_fit(const struct kl_sched *s, const struct class *c, int32_t node) {
    size_t row = (size_t)node * (size_t)s->resources;
    int64_t fresh = 0;
    for (int32_t i = 0; i < c->volumes.count; i++) {
        int64_t driver = c->volumes.at[i].words[0];
        if (i == 0 || c->volumes.at[i - 1].words[0] != driver)
            fresh = 0;
        fresh += c->volumes.at[i].counter->count[node] == 0;
        if (fresh && fresh > s->alloc[row + (size_t)driver] - s->used[row + (size_t)driver])
            return false;
    }
    return true;
}

uint32_t sched_reasons(const struct kl_sched *s, const struct class *c, int32_t node,
                       uint64_t *lacks) {
    uint32_t reasons = c->fixed ? c->fixed[node] : 0;
    reasons |= resource_reasons(s, c, node, lacks);
    for (int32_t i = 0; i < c->forbids.count; i++)
        if (count_at(&c->forbids.at[i], node) > 0)
            reasons |= 1u << c->forbids.at[i].words[0];
    bool alone = sched_alone(c);
    for (int32_t i = 0; i < c->requires.count; i++)
        if (!required_here(&c->requires.at[i], node, alone))
            reasons |= 1u << REASON_POD_AFFINITY;
    reasons |= spread_reasons(c, node);
    return volumes_fit(s, c, node) ? reasons : reasons | 1u << REASON_VOLUME_LIMIT;
}

/* Either the terms whose counts only this node's pods change, or the others. */
static bool terms_fit(const struct class *c, int32_t node, bool alone, bool local) {
    for (int32_t i = 0; i < c->forbids.count; i++)
        if (c->forbids.at[i].local == local && count_at(&c->forbids.at[i], node) > 0)
            return false;
    for (int32_t i = 0; i < c->requires.count; i++)
        if (c->requires.at[i].local == local && !required_here(&c->requires.at[i], node, alone))
            return false;
    for (int32_t i = 0; i < c->hard.count; i++)
        if (c->hard.at[i].local == local &&
            (c->hard.at[i].domain[node] < 0 || skewed(&c->hard.at[i], node)))
            return false;
    return true;
}

bool sched_node_fits(const struct kl_sched *s, const struct class *c, int32_t node, bool alone) {
    if (c->fixed && c->fixed[node])
        return false;
    const int64_t *alloc = s->alloc + (size_t)node * (size_t)s->resources;
    const int64_t *used = s->used + (size_t)node * (size_t)s->resources;
    const int64_t *request = c->part[PART_REQUESTS].at;
    for (int32_t i = 0; i < c->part[PART_REQUESTS].count; i++, request += 3)
        if (short_of(request, alloc, used))
            return false;
    return terms_fit(c, node, alone, true) && (!c->volumes.count || volumes_fit(s, c, node));
}

bool sched_group_fits(const struct class *c, int32_t node, bool alone) {
    return terms_fit(c, node, alone, false);
}

/* Whether evicting pods may help: the verdict of the filter that comes first in the profile. */
bool sched_resolvable(const struct class *c, uint32_t reasons) {
    static const uint32_t resolvable = 1u << REASON_PORTS | 1u << REASON_SHORT | 1u << REASON_DISK |
                                       1u << REASON_SINGLE_POD_CLAIM | 1u << REASON_VOLUME_LIMIT |
                                       1u << REASON_SPREAD | 1u << REASON_POD_ANTI_AFFINITY |
                                       1u << REASON_EXISTING_ANTI_AFFINITY;
    int first = -1;
    for (int bit = 0; bit < 32; bit++)
        if (reasons >> bit & 1 && bit != REASON_SHORT_FOR_GOOD &&
            (first < 0 || c->part[PART_RANK].at[bit] < c->part[PART_RANK].at[first]))
            first = bit;
    if (first < 0 || !(resolvable >> first & 1))
        return false;
    return first != REASON_SHORT || !(reasons >> REASON_SHORT_FOR_GOOD & 1);
}
