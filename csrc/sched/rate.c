#include "sched.h"

#include "cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One decision in full, from the columns themselves: nothing is cached, so this is also what the
 * cached way is tested with. */

struct rating {
    const struct kl_sched *s;
    const struct class *c;
    kl_sched_query *query;
    uint8_t *in; /* nodes to score */
    int64_t *spread, *affinity;
    int32_t *stamps;
};

static void count_nominated(struct kl_sched *s, const kl_sched_query *q, int32_t node,
                            int32_t sign) {
    for (size_t i = 0; i < q->nominated_count; i++)
        if (q->nominated[2 * i + 1] == node)
            sched_count(s, s->classes[q->nominated[2 * i]], node, sign);
}

static bool is_nominated(const kl_sched_query *q, int32_t node) {
    for (size_t i = 0; i < q->nominated_count; i++)
        if (q->nominated[2 * i + 1] == node)
            return true;
    return false;
}

uint32_t sched_verdict(struct kl_sched *s, const kl_sched_query *q, int32_t node, uint64_t *lacks) {
    const struct class *c = s->classes[q->cls];
    uint32_t more = q->against ? q->against[node] : 0;
    if (q->nominated_count && is_nominated(q, node)) {
        count_nominated(s, q, node, 1);
        uint32_t reasons = sched_reasons(s, c, node, lacks);
        count_nominated(s, q, node, -1);
        if (reasons)
            return reasons | more;
    }
    return sched_reasons(s, c, node, lacks) | more;
}

int sched_check_query(const struct kl_sched *s, const kl_sched_query *q, kl_error *err) {
    if (q->cls < 0 || q->cls >= s->class_count)
        return kl_fail(err, EINVAL, "rate the nodes", "class %d", q->cls);
    for (size_t i = 0; i < q->nominated_count; i++)
        if (q->nominated[2 * i] < 0 || q->nominated[2 * i] >= s->class_count ||
            q->nominated[2 * i + 1] < 0 || q->nominated[2 * i + 1] >= s->nodes)
            return kl_fail(err, EINVAL, "rate the nodes", "nominated pod %zu", i);
    return 0;
}

/* The feasible candidates; with sampling the first `wanted` of them from where the last scan
 * ended. */
static int32_t select_nodes(struct kl_sched *s, const struct rating *r) {
    int32_t found = 0, looked = 0, wanted = r->query->wanted ? r->query->wanted : s->nodes;
    int32_t start = r->query->wanted ? s->start : 0;
    for (; looked < s->nodes && found < wanted; looked++) {
        int32_t n = (start + looked) % s->nodes;
        r->in[n] = !r->query->reasons[n] && (!r->query->candidates || r->query->candidates[n]);
        found += r->in[n];
    }
    if (r->query->wanted && s->nodes)
        s->start = (start + looked) % s->nodes;
    return found;
}

static int64_t domains_of(const struct rating *r, int32_t k) {
    const struct term *term = &r->c->soft.at[k];
    int64_t domains = 0, missing = 0;
    for (int32_t n = 0; n < r->s->nodes; n++) {
        if (!r->in[n] || sched_spread_ignores(r->c, n))
            continue;
        int32_t d = term->domain[n];
        if (term->words[2])
            domains++;
        else if (term->present[n] < 0)
            missing = 1;
        else if (r->stamps[d] != k + 1)
            r->stamps[d] = k + 1, domains++;
    }
    return domains + missing;
}

static void rate_spread(const struct rating *r) {
    const struct terms *soft = &r->c->soft;
    double weights[soft->count + 1];
    for (int32_t k = 0; k < soft->count; k++) {
        memset(r->stamps, 0, (size_t)r->s->nodes * sizeof *r->stamps);
        weights[k] = log((double)(domains_of(r, k) + 2));
    }
    for (int32_t n = 0; n < r->s->nodes; n++) {
        double raw = 0;
        for (int32_t k = 0; k < soft->count; k++)
            if (soft->at[k].present[n] >= 0)
                raw += (double)count_at(&soft->at[k], n) * weights[k] +
                       (double)(soft->at[k].words[0] - 1);
        r->spread[n] = !r->in[n] || sched_spread_ignores(r->c, n) ? -1 : sched_round(raw);
    }
}

static void normalise_spread(const struct rating *r) {
    int64_t min = INT64_MAX, max = 0;
    for (int32_t n = 0; n < r->s->nodes; n++) {
        if (r->spread[n] < 0)
            continue;
        min = r->spread[n] < min ? r->spread[n] : min;
        max = r->spread[n] > max ? r->spread[n] : max;
    }
    for (int32_t n = 0; n < r->s->nodes; n++)
        r->spread[n] = r->spread[n] < 0 ? 0 : sched_spread_norm(r->spread[n], min, max);
}

static bool rate_affinity(const struct rating *r) {
    const struct terms *terms = &r->c->affinity;
    bool any = false;
    for (int32_t k = 0; k < terms->count; k++)
        any |= terms->at[k].counter->total > 0;
    int64_t min = INT64_MAX, max = INT64_MIN;
    for (int32_t n = 0; any && n < r->s->nodes; n++) {
        r->affinity[n] = 0;
        for (int32_t k = 0; k < terms->count; k++)
            r->affinity[n] += terms->at[k].words[0] * count_at(&terms->at[k], n);
        min = r->in[n] && r->affinity[n] < min ? r->affinity[n] : min;
        max = r->in[n] && r->affinity[n] > max ? r->affinity[n] : max;
    }
    for (int32_t n = 0; any && n < r->s->nodes; n++)
        r->affinity[n] = r->in[n] ? sched_affinity_norm(r->affinity[n], min, max) : 0;
    return any;
}

static int64_t largest(const struct rating *r, const int32_t *raw) {
    int64_t max = 0;
    for (int32_t n = 0; raw && n < r->s->nodes; n++)
        max = r->in[n] && raw[n] > max ? raw[n] : max;
    return max;
}

static int32_t score(const struct rating *r, int which, int32_t n, int64_t max) {
    const struct class *c = r->c;
    switch (which) {
    case KL_SCHED_TAINT_TOLERATION:
        return 100 - (c->taints ? sched_ratio_norm(c->taints[n], max) : 0);
    case KL_SCHED_NODE_AFFINITY:
        return c->prefer ? sched_ratio_norm(c->prefer[n], max) : 0;
    case KL_SCHED_NODE_RESOURCES_FIT:
        return sched_fit_score(r->s, c, n);
    case KL_SCHED_NODE_RESOURCES_BALANCED_ALLOCATION:
        return sched_balanced_score(r->s, c, n);
    case KL_SCHED_POD_TOPOLOGY_SPREAD:
        return (int32_t)r->spread[n];
    case KL_SCHED_INTER_POD_AFFINITY:
        return (int32_t)r->affinity[n];
    default:
        return c->image ? c->image[n] : 0;
    }
}

static void fill_scores(const struct rating *r) {
    int32_t nodes = r->s->nodes;
    for (int which = 0; which < KL_SCHED_SCORES; which++) {
        int32_t *row = r->query->scores + (size_t)which * (size_t)nodes;
        bool off = !enabled(r->c, which) || r->query->skipped >> which & 1;
        const int32_t *raw = which == KL_SCHED_TAINT_TOLERATION ? r->c->taints
                             : which == KL_SCHED_NODE_AFFINITY  ? r->c->prefer
                                                                : NULL;
        int64_t max = largest(r, raw);
        for (int32_t n = 0; n < nodes; n++) {
            row[n] = off || !r->in[n] ? -1 : score(r, which, n, max);
            if (row[n] >= 0)
                r->query->totals[n] += weight_of(r->c, which) * row[n];
        }
    }
}

static int32_t choose_best(const struct rating *r, uint64_t *random) {
    int64_t best = INT64_MIN, ties = 0;
    int32_t chosen = -1;
    for (int32_t n = 0; n < r->s->nodes; n++) {
        if (!r->in[n] || r->query->totals[n] < best)
            continue;
        ties = r->query->totals[n] > best ? 1 : ties + 1;
        chosen = ties == 1 ? n : chosen;
        best = r->query->totals[n];
    }
    if (chosen < 0 || !*random)
        return chosen;
    int64_t skip = (int64_t)(sched_random(random) % (uint64_t)ties);
    for (chosen = 0; !r->in[chosen] || r->query->totals[chosen] != best || skip-- > 0;)
        chosen++;
    return chosen;
}

static int rate(struct kl_sched *s, struct rating *r, uint64_t *random) {
    kl_sched_query *q = r->query;
    for (int32_t n = 0; n < s->nodes; n++)
        q->reasons[n] = sched_verdict(s, q, n, &q->lacks[n]);
    select_nodes(s, r);
    q->skipped = r->c->soft.count ? 0 : 1u << KL_SCHED_POD_TOPOLOGY_SPREAD;
    if (r->c->soft.count)
        rate_spread(r), normalise_spread(r);
    if (!rate_affinity(r))
        q->skipped |= 1u << KL_SCHED_INTER_POD_AFFINITY;
    for (int32_t n = 0; n < s->nodes; n++)
        q->totals[n] = r->in[n] ? (q->extra ? q->extra[n] : 0) : -1;
    fill_scores(r);
    return choose_best(r, random);
}

int kl_sched_rate(kl_sched *s, kl_sched_query *query, uint64_t *random, kl_error *err) {
    if (sched_check_query(s, query, err) < 0)
        return -2;
    size_t room = (size_t)s->nodes + 1;
    SCOPED_MEM uint8_t *in = calloc(room, 1);
    SCOPED_MEM int64_t *spread = calloc(room, sizeof *spread);
    SCOPED_MEM int64_t *affinity = calloc(room, sizeof *affinity);
    SCOPED_MEM int32_t *stamps = calloc(room, sizeof *stamps);
    if (!in || !spread || !affinity || !stamps)
        return kl_fail(err, ENOMEM, "rate the nodes", "no memory"), -2;
    struct rating r = {s, s->classes[query->cls], query, in, spread, affinity, stamps};
    return rate(s, &r, random);
}
