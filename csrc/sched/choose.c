#include "sched.h"

#include <errno.h>
#include <math.h>

uint64_t sched_random(uint64_t *state) {
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* The counts of a cell's nodes: from the cell for local terms, from the domain for the others. */
static int32_t cell_count_of(const struct class *c, int32_t cell, const struct term *term,
                             int32_t node, int32_t *local) {
    if (!term->local)
        return count_at(term, node);
    return c->cell_local[(size_t)cell * (size_t)c->local_scores + (size_t)(*local)++];
}

/* Which cells are in, and their sum of affinity. */
static void judge_cells(struct class *c) {
    int32_t soft_local = 0;
    for (int32_t i = 0; i < c->soft.count; i++)
        soft_local += c->soft.at[i].local;
    for (int32_t i = 0; i < c->cell_count; i++) {
        struct cell *cell = &c->cells[i];
        int32_t node = first_node(c, cell->group), local = soft_local;
        cell->fits = cell->nodes > 0 && sched_group_fits(c, node, c->alone);
        if (!cell->fits)
            continue;
        cell->ignored = sched_spread_ignores(c, node);
        cell->affinity = 0;
        for (int32_t k = 0; k < c->affinity.count; k++)
            cell->affinity +=
                c->affinity.at[k].words[0] * cell_count_of(c, i, &c->affinity.at[k], node, &local);
    }
}

/* How many domains of a soft constraint the remaining nodes lie in; by host name, every node is
 * one. */
static int64_t domains_in_play(struct class *c, const struct term *term) {
    int64_t domains = 0, missing = 0;
    if (c->stamp == INT32_MAX)
        c->stamp = 0;
    c->stamp++;
    for (int32_t i = 0; i < c->cell_count; i++) {
        const struct cell *cell = &c->cells[i];
        if (!cell->fits || cell->ignored)
            continue;
        int32_t node = first_node(c, cell->group), d = term->domain[node];
        if (term->words[2])
            domains += cell->nodes;
        else if (term->present[node] < 0)
            missing = 1;
        else if (term->local)
            domains += cell->nodes;
        else if (c->stamps[d] != c->stamp)
            c->stamps[d] = c->stamp, domains++;
    }
    return domains + missing;
}

static void spread_cells(struct class *c) {
    double weights[c->soft.count];
    for (int32_t k = 0; k < c->soft.count; k++)
        weights[k] = log((double)(domains_in_play(c, &c->soft.at[k]) + 2));
    for (int32_t i = 0; i < c->cell_count; i++) {
        struct cell *cell = &c->cells[i];
        if (!cell->fits)
            continue;
        int32_t node = first_node(c, cell->group), local = 0;
        double raw = 0;
        for (int32_t k = 0; k < c->soft.count; k++) {
            const struct term *term = &c->soft.at[k];
            int32_t count = cell_count_of(c, i, term, node, &local);
            if (term->present[node] >= 0)
                raw += (double)count * weights[k] + (double)(term->words[0] - 1);
        }
        cell->spread = sched_round(raw);
    }
}

struct range {
    int64_t spread_min, spread_max, affinity_min, affinity_max, taints_max, prefer_max;
};

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}
static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static struct range range_of(const struct class *c) {
    struct range r = {INT64_MAX, 0, INT64_MAX, INT64_MIN, 0, 0};
    for (int32_t i = 0; i < c->cell_count; i++) {
        const struct cell *cell = &c->cells[i];
        if (!cell->fits)
            continue;
        int32_t node = first_node(c, cell->group);
        r.affinity_min = smaller(r.affinity_min, cell->affinity);
        r.affinity_max = larger(r.affinity_max, cell->affinity);
        r.taints_max = larger(r.taints_max, c->taints ? c->taints[node] : 0);
        r.prefer_max = larger(r.prefer_max, c->prefer ? c->prefer[node] : 0);
        if (cell->ignored)
            continue;
        r.spread_min = smaller(r.spread_min, cell->spread);
        r.spread_max = larger(r.spread_max, cell->spread);
    }
    return r;
}

static int64_t score_cell(const struct class *c, const struct cell *cell, const struct range *r) {
    int32_t node = first_node(c, cell->group);
    int64_t score = 0;
    if (c->taints)
        score -= weight_of(c, KL_SCHED_TAINT_TOLERATION) *
                 sched_ratio_norm(c->taints[node], r->taints_max);
    if (c->prefer)
        score +=
            weight_of(c, KL_SCHED_NODE_AFFINITY) * sched_ratio_norm(c->prefer[node], r->prefer_max);
    if (c->soft.count && !cell->ignored)
        score += weight_of(c, KL_SCHED_POD_TOPOLOGY_SPREAD) *
                 sched_spread_norm(cell->spread, r->spread_min, r->spread_max);
    if (c->affinity.count)
        score += weight_of(c, KL_SCHED_INTER_POD_AFFINITY) *
                 sched_affinity_norm(cell->affinity, r->affinity_min, r->affinity_max);
    return score;
}

/* The part of the total that all nodes of a cell share. TaintToleration's 100 for everybody is left
 * out: it moves no node. */
static void rate_cells(struct class *c) {
    judge_cells(c);
    if (c->soft.count)
        spread_cells(c);
    struct range r = range_of(c);
    int64_t floor =
        -100 *
        weight_of(
            c, KL_SCHED_TAINT_TOLERATION); /* keeps every score of a cell that is in at 0 or more */
    for (int32_t i = 0; i < c->cell_count; i++)
        c->cell_score[i] =
            c->cells[i].fits ? (int32_t)(score_cell(c, &c->cells[i], &r) - floor) : -1;
}

struct best {
    int32_t total;
    int64_t ties;
};

static void find_best_of_groups(struct class *c, struct best *best) {
    for (int32_t g = 0; g < c->groups; g++) {
        if (c->cell_score[g] < 0)
            continue;
        int32_t from = c->group_block ? c->group_block[g] : 0,
                to = c->group_block ? c->group_block[g + 1] : c->blocks;
        int32_t max = -1;
        for (int32_t b = from; b < to; b++)
            max = c->block_max[b] > max ? c->block_max[b] : max;
        c->cells[g].best = max;
        if (max >= 0 && max + c->cell_score[g] > best->total)
            best->total = max + c->cell_score[g];
    }
}

/* The place of the `skip`-th node of the group that has its best value. */
static int32_t nth_of_group(const struct class *c, int32_t g, int64_t skip, int32_t nodes) {
    int32_t block = c->group_block ? c->group_block[g] : 0,
            place = c->group_start ? c->group_start[g] : 0;
    int32_t end = c->group_start ? c->group_start[g + 1] : nodes;
    for (; place < end; block++, place += c->block) {
        if (c->block_max[block] != c->cells[g].best)
            continue;
        if (skip >= c->block_ties[block]) {
            skip -= c->block_ties[block];
            continue;
        }
        for (;; place++)
            if (c->value[place] == c->cells[g].best && skip-- == 0)
                return place;
    }
    return -1;
}

static int64_t ties_of_group(const struct class *c, int32_t g) {
    int32_t from = c->group_block ? c->group_block[g] : 0,
            to = c->group_block ? c->group_block[g + 1] : c->blocks;
    int64_t ties = 0;
    for (int32_t b = from; b < to; b++)
        ties += c->block_max[b] == c->cells[g].best ? c->block_ties[b] : 0;
    return ties;
}

static bool leads(const struct class *c, int32_t g, const struct best *best) {
    return c->cell_score[g] >= 0 && c->cells[g].best >= 0 &&
           c->cells[g].best + c->cell_score[g] == best->total;
}

static int32_t node_of(const struct class *c, int32_t place) {
    return c->node_at ? c->node_at[place] : place;
}

static int32_t choose_by_group(const struct kl_sched *s, struct class *c, uint64_t *random) {
    struct best best = {-1, 0};
    find_best_of_groups(c, &best);
    if (best.total < 0)
        return -1;
    int32_t lowest = INT32_MAX;
    for (int32_t g = 0; g < c->groups; g++) {
        if (!leads(c, g, &best))
            continue;
        if (*random) {
            best.ties += ties_of_group(c, g);
            continue;
        }
        int32_t node = node_of(c, nth_of_group(c, g, 0, s->nodes));
        lowest = node < lowest ? node : lowest;
    }
    if (!*random)
        return lowest;
    int64_t skip = (int64_t)(sched_random(random) % (uint64_t)best.ties);
    for (int32_t g = 0; g < c->groups; g++) {
        int64_t ties = leads(c, g, &best) ? ties_of_group(c, g) : 0;
        if (skip < ties)
            return node_of(c, nth_of_group(c, g, skip, s->nodes));
        skip -= ties;
    }
    return -1;
}

static int32_t total_of(const struct class *c, const struct bucket *bucket) {
    int32_t score = c->cell_score[bucket->cell];
    return !bucket->count || score < 0 ? -1 : bucket->value + score;
}

static int32_t lowest_of(const struct class *c, int32_t total) {
    int32_t lowest = INT32_MAX;
    for (int32_t b = 0; b < c->bucket_count; b++)
        for (int32_t i = 0; total_of(c, &c->buckets[b]) == total && i < c->buckets[b].count; i++)
            lowest = c->buckets[b].nodes[i] < lowest ? c->buckets[b].nodes[i] : lowest;
    return lowest;
}

static int32_t choose_by_bucket(const struct class *c, uint64_t *random) {
    struct best best = {-1, 0};
    for (int32_t b = 0; b < c->bucket_count; b++) {
        int32_t total = total_of(c, &c->buckets[b]);
        if (total < best.total || total < 0)
            continue;
        best.ties = total > best.total ? c->buckets[b].count : best.ties + c->buckets[b].count;
        best.total = total;
    }
    if (best.total < 0)
        return -1;
    if (!*random)
        return lowest_of(c, best.total);
    int64_t skip = (int64_t)(sched_random(random) % (uint64_t)best.ties);
    for (int32_t b = 0; b < c->bucket_count; b++) {
        const struct bucket *bucket = &c->buckets[b];
        if (total_of(c, bucket) != best.total)
            continue;
        if (skip < bucket->count)
            return bucket->nodes[skip];
        skip -= bucket->count;
    }
    return -1;
}

static bool is_plain(const struct class *c) {
    return c->groups == 1 && !c->local_scores && !c->soft.count && !c->affinity.count &&
           !c->forbids.count && !c->requires.count && !c->hard.count;
}

static int32_t choose(const struct kl_sched *s, struct class *c, uint64_t *random) {
    if (!c->feasible)
        return -1;
    if (is_plain(c))
        c->cell_score[0] = 0;
    else
        rate_cells(c);
    return c->local_scores ? choose_by_bucket(c, random) : choose_by_group(s, c, random);
}

/* The only node a pod may go to, if it may: no other is looked at. */
static int32_t pinned(const struct kl_sched *s, const struct class *c, int32_t node) {
    uint64_t lacks;
    return sched_reasons(s, c, node, &lacks) ? -1 : node;
}

static int place(struct kl_sched *s, int32_t pod, int32_t cls, int32_t node, kl_error *err) {
    int64_t row[] = {pod, cls, node, INT64_MAX};
    return kl_sched_pods(s, row, 1, err);
}

int64_t kl_sched_run(kl_sched *s, const int32_t *pods, const int32_t *classes, size_t count,
                     uint64_t *random, int32_t *nodes, kl_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (classes[i] < 0 || classes[i] >= s->class_count)
            return kl_fail(err, EINVAL, "schedule", "class %d", classes[i]);
        struct class *c = s->classes[classes[i]];
        if (nodes[i] >= s->nodes || (nodes[i] < 0 && sched_refresh(s, c) < 0))
            return kl_fail(err, ENOMEM, "schedule", "no memory for class %d", classes[i]);
        nodes[i] = nodes[i] < 0 ? choose(s, c, random) : pinned(s, c, nodes[i]);
        if (nodes[i] >= 0 && place(s, pods[i], classes[i], nodes[i], err) < 0)
            return -1;
        if (nodes[i] < 0 || c->scalar[CLASS_FLAGS] & FLAG_STOP)
            return (int64_t)i + 1;
    }
    return (int64_t)count;
}
