#include "sched.h"

#include <math.h>

static int64_t least_or_most_allocated(const struct class *c, int64_t requested, int64_t alloc) {
    if (c->scalar[CLASS_FIT_STRATEGY] == FIT_LEAST_ALLOCATED)
        return requested > alloc ? 0 : (alloc - requested) * 100 / alloc;
    return (requested > alloc ? alloc : requested) * 100 / alloc;
}

/* The broken line through the points of the shape, at a utilisation in percent. */
static int64_t on_shape(const struct span *shape, int64_t percent) {
    const int64_t *at = shape->at;
    for (int32_t i = 0; i < shape->count; i++, at += 2) {
        if (percent > at[0])
            continue;
        if (i == 0)
            return at[1];
        return at[-1] + (at[1] - at[-1]) * (percent - at[-2]) / (at[0] - at[-2]);
    }
    return at[-1];
}

/* What is requested of a resource as NodeResourcesFit scores it: cpu and memory with missing
 * requests filled in. */
static int64_t requested_with(const struct kl_sched *s, int32_t node, const int64_t *row) {
    int64_t resource = row[0];
    if (resource == 1 || resource == 2)
        return s->nonzero[2 * (size_t)node + (size_t)resource - 1] + row[2];
    return s->used[(size_t)node * (size_t)s->resources + (size_t)resource] + row[2];
}

static int32_t ratio_score(const struct kl_sched *s, const struct class *c, int32_t node) {
    const int64_t *row = c->part[PART_FIT].at;
    int64_t sum = 0, weights = 0;
    for (int32_t i = 0; i < c->part[PART_FIT].count; i++, row += 3) {
        int64_t alloc = s->alloc[(size_t)node * (size_t)s->resources + (size_t)row[0]];
        if (!alloc)
            continue;
        int64_t requested = requested_with(s, node, row);
        int64_t score =
            on_shape(&c->part[PART_SHAPE], requested > alloc ? 100 : requested * 100 / alloc);
        if (score > 0) {
            sum += score * row[1];
            weights += row[1];
        }
    }
    return weights ? (int32_t)sched_round((double)sum / (double)weights) : 0;
}

int32_t sched_fit_score(const struct kl_sched *s, const struct class *c, int32_t node) {
    if (c->scalar[CLASS_FIT_STRATEGY] == FIT_REQUESTED_TO_CAPACITY_RATIO)
        return ratio_score(s, c, node);
    const int64_t *row = c->part[PART_FIT].at;
    int64_t sum = 0, weights = 0;
    for (int32_t i = 0; i < c->part[PART_FIT].count; i++, row += 3) {
        int64_t alloc = s->alloc[(size_t)node * (size_t)s->resources + (size_t)row[0]];
        if (!alloc)
            continue;
        sum += row[1] * least_or_most_allocated(c, requested_with(s, node, row), alloc);
        weights += row[1];
    }
    return weights ? (int32_t)(sum / weights) : 0;
}

/* 100 where all resources are used to the same share; `with` counts the pod in. No fused
 * multiply-add: the build has -ffp-contract=off, because the last bit decides. */
static int32_t balance(const struct kl_sched *s, const struct class *c, int32_t node, bool with) {
    const int64_t *row = c->part[PART_BALANCED].at;
    const int64_t *alloc = s->alloc + (size_t)node * (size_t)s->resources;
    const int64_t *used = s->used + (size_t)node * (size_t)s->resources;
    double share[64], sum = 0, deviation = 0;
    int32_t count = 0;
    for (int32_t i = 0; i < c->part[PART_BALANCED].count && count < 64; i++, row += 2) {
        if (!alloc[row[0]])
            continue;
        double x = (double)(used[row[0]] + (with ? row[1] : 0)) / (double)alloc[row[0]];
        share[count] = x > 1 ? 1 : x;
        sum += share[count++];
    }
    if (count == 2)
        deviation = fabs((share[0] - share[1]) / 2);
    if (count > 2) {
        double mean = sum / count, squares = 0;
        for (int32_t i = 0; i < count; i++)
            squares += (share[i] - mean) * (share[i] - mean);
        deviation = sqrt(squares / count);
    }
    return (int32_t)((1 - deviation) * 100);
}

int32_t sched_balanced_score(const struct kl_sched *s, const struct class *c, int32_t node) {
    int32_t with = balance(s, c, node, true);
    if (!(c->scalar[CLASS_FLAGS] & FLAG_CHANGE))
        return with;
    return 50 + (50 + with - balance(s, c, node, false)) / 2;
}

bool sched_spread_ignores(const struct class *c, int32_t node) {
    if (!(c->scalar[CLASS_FLAGS] & FLAG_ALL_KEYS))
        return false;
    for (int32_t i = 0; i < c->soft.count; i++)
        if (c->soft.at[i].present[node] < 0)
            return true;
    return false;
}

/* Half away from zero, for x >= 0: floor(x + 0.5) errs just below a half. */
int64_t sched_round(double x) {
    int64_t whole = (int64_t)x;
    return whole + (x - (double)whole >= 0.5);
}

int32_t sched_spread_norm(int64_t raw, int64_t min, int64_t max) {
    return max == 0 ? 100 : (int32_t)(100 * (max + min - raw) / max);
}

int32_t sched_affinity_norm(int64_t raw, int64_t min, int64_t max) {
    return max == min ? 0 : (int32_t)(100.0 * ((double)(raw - min) / (double)(max - min)));
}

int32_t sched_ratio_norm(int64_t raw, int64_t max) {
    return max == 0 ? 0 : (int32_t)(100 * raw / max);
}
