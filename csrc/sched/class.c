#include "sched.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What each number of a row names, so that a program is checked before it is used. */
enum word { END, ANY, RESOURCE, COUNTER, KEY, REASON };

static const struct {
    int32_t width;
    enum word words[5];
} parts[CLASS_PARTS] = {
    [PART_REQUESTS] = {3, {RESOURCE, ANY, ANY}},
    [PART_DELTAS] = {1, {COUNTER}},
    [PART_FORBIDS] = {2, {COUNTER, REASON}},
    [PART_REQUIRES] = {1, {COUNTER}},
    [PART_HARD] = {4, {COUNTER, ANY, ANY, ANY}},
    [PART_SOFT] = {4, {COUNTER, ANY, KEY, ANY}},
    [PART_AFFINITY] = {2, {COUNTER, ANY}},
    [PART_VOLUMES] = {2, {COUNTER, RESOURCE}},
    [PART_FIT] = {3, {RESOURCE, ANY, ANY}},
    [PART_SHAPE] = {2, {ANY, ANY}},
    [PART_BALANCED] = {2, {RESOURCE, ANY}},
    [PART_BUDGETS] = {1, {ANY}},
    [PART_RANK] = {1, {ANY}},
};

static bool is_sound(const struct kl_sched *s, enum word word, int64_t value) {
    switch (word) {
    case RESOURCE:
        return value >= 0 && value < s->resources;
    case COUNTER:
        return value >= 0 && value < s->counter_count;
    case KEY:
        return value >= 0 && value < s->key_count;
    case REASON:
        return value >= 0 && value < 32;
    case END:
    case ANY:
        return true;
    }
    return false;
}

static int refuse(kl_error *err, int part, int64_t value) {
    return kl_fail(err, EINVAL, "decode a class of pods", "part %d: %lld", part, (long long)value);
}

static int decode_part(const struct kl_sched *s, struct class *c, int part, const int64_t **at,
                       const int64_t *end, kl_error *err) {
    int32_t width = parts[part].width;
    if (*at >= end || **at < 0 || **at > (end - *at - 1) / width)
        return refuse(err, part, *at < end ? **at : -1);
    c->part[part] = (struct span){*at + 1, (int32_t) * *at};
    for (int64_t i = 0; i < **at * width; i++)
        if (!is_sound(s, parts[part].words[i % width], (*at)[1 + i]))
            return refuse(err, part, (*at)[1 + i]);
    *at += 1 + **at * width;
    return 0;
}

static int decode(const struct kl_sched *s, struct class *c, size_t count, kl_error *err) {
    if (count < CLASS_SCALARS)
        return refuse(err, -1, (int64_t)count);
    c->scalar = c->words;
    const int64_t *at = c->words + CLASS_SCALARS, *end = c->words + count;
    for (int part = 0; part < CLASS_PARTS; part++)
        if (decode_part(s, c, part, &at, end, err) < 0)
            return -1;
    if (at != end || c->part[PART_RANK].count != 32 || c->part[PART_REQUESTS].count > 64)
        return refuse(err, CLASS_PARTS, end - at);
    for (int32_t i = 1; i < c->part[PART_SHAPE].count; i++)
        if (c->part[PART_SHAPE].at[2 * i] <= c->part[PART_SHAPE].at[2 * i - 2])
            return refuse(err, PART_SHAPE, i);
    return c->scalar[CLASS_FIT_STRATEGY] == FIT_REQUESTED_TO_CAPACITY_RATIO &&
                   !c->part[PART_SHAPE].count
               ? refuse(err, PART_SHAPE, 0)
               : 0;
}

/* The rows of a part with their counters at hand. */
static int bind_terms(const struct kl_sched *s, const struct class *c, int part,
                      struct terms *terms) {
    const struct span *span = &c->part[part];
    terms->at = calloc((size_t)span->count + 1, sizeof *terms->at);
    if (!terms->at)
        return -1;
    terms->count = span->count;
    for (int32_t i = 0; i < span->count; i++) {
        const int64_t *row = span->at + i * parts[part].width;
        const struct counter *counter = s->counters[row[0]];
        const struct key *key = &s->keys[counter->key];
        const int32_t *present = part == PART_SOFT ? s->keys[row[2]].domain : key->domain;
        terms->at[i] = (struct term){counter, key->domain, present, row + 1, key->local};
    }
    return 0;
}

static int bind(const struct kl_sched *s, struct class *c, kl_error *err) {
    const struct span *deltas = &c->part[PART_DELTAS];
    c->deltas = calloc((size_t)deltas->count + 1, sizeof *c->deltas);
    c->mins = calloc((size_t)c->part[PART_HARD].count + 1, sizeof *c->mins);
    bool whole = c->deltas && c->mins && !bind_terms(s, c, PART_FORBIDS, &c->forbids) &&
                 !bind_terms(s, c, PART_REQUIRES, &c->requires) &&
                 !bind_terms(s, c, PART_HARD, &c->hard) && !bind_terms(s, c, PART_SOFT, &c->soft) &&
                 !bind_terms(s, c, PART_AFFINITY, &c->affinity) &&
                 !bind_terms(s, c, PART_VOLUMES, &c->volumes);
    if (!whole)
        return kl_fail(err, ENOMEM, "decode a class of pods", "no memory");
    for (int32_t i = 0; i < deltas->count; i++)
        c->deltas[i] = (int32_t)deltas->at[i];
    c->delta_count = deltas->count;
    for (int32_t i = 0; i < c->volumes.count; i++)
        if (c->volumes.at[i].counter->key != KEY_NODE)
            return refuse(err, PART_VOLUMES, i);
    return 0;
}

static struct class *make_class(const struct kl_sched *s, const int64_t *words, size_t count,
                                kl_error *err) {
    struct class *c = calloc(1, sizeof *c);
    if (!c)
        return kl_fail(err, ENOMEM, "decode a class of pods", "no memory"), NULL;
    c->words = malloc(count * sizeof *words + 1);
    if (c->words) {
        memcpy(c->words, words, count * sizeof *words);
        if (decode(s, c, count, err) == 0 && bind(s, c, err) == 0)
            return c;
    }
    sched_class_free(c);
    return NULL;
}

int kl_sched_class(kl_sched *s, const int64_t *words, size_t count, kl_error *err) {
    void *classes = sched_grow(s->classes, &s->class_room, s->class_count + 1, sizeof *s->classes);
    if (!classes)
        return kl_fail(err, ENOMEM, "decode a class of pods", "no memory");
    s->classes = classes;
    struct class *c = make_class(s, words, count, err);
    if (!c)
        return -1;
    s->classes[s->class_count] = c;
    return s->class_count++;
}

void sched_class_free(struct class *c) {
    sched_buckets_free(c);
    void *all[] = {c->words,       c->deltas,          c->forbids.at,
                   c->requires.at, c->hard.at,         c->soft.at,
                   c->affinity.at, c->volumes.at,      c->fixed,
                   c->taints,      c->prefer,          c->image,
                   c->group,       c->place,           c->node_at,
                   c->group_start, c->group_block,     c->block_max,
                   c->block_ties,  c->value,           c->mins,
                   c->cells,       c->cell_score,      c->stamps,
                   c->outlook,     c->outlook_allowed, c};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static int32_t *raw_column(const struct kl_sched *s, int32_t **column) {
    if (!*column)
        *column = calloc((size_t)s->nodes + 1, sizeof **column);
    return *column;
}

int kl_sched_column(kl_sched *s, int32_t cls, int32_t column, const uint8_t *bits, size_t size,
                    int64_t value, kl_error *err) {
    if (cls < 0 || cls >= s->class_count || column < 0 || column > 3 ||
        size < ((size_t)s->nodes + 7) / 8)
        return kl_fail(err, EINVAL, "fill a column", "class %d, column %d, %zu bytes", cls, column,
                       size);
    struct class *c = s->classes[cls];
    int32_t *raw = column == 0   ? raw_column(s, (int32_t **)&c->fixed)
                   : column == 1 ? raw_column(s, &c->taints)
                   : column == 2 ? raw_column(s, &c->prefer)
                                 : raw_column(s, &c->image);
    if (!raw)
        return kl_fail(err, ENOMEM, "fill a column", "no memory");
    for (int32_t n = 0; n < s->nodes; n++)
        if (bits[n / 8] >> n % 8 & 1)
            raw[n] = column == 0 ? raw[n] | (int32_t)value : raw[n] + (int32_t)value;
    c->built = false;
    return 0;
}
