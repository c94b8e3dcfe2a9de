#include "sched.h"

#include <stdlib.h>
#include <string.h>

/*
 * Nodes of one cell and one value are as good as each other, whatever the decision. They stand
 * together in a bucket, so that a decision looks at buckets, of which there are few where nodes are
 * alike, and takes any node of the best.
 */

static int32_t *integers(int32_t count) {
    return malloc(((size_t)count + 1) * sizeof(int32_t));
}

static void counts_here(const struct class *c, int32_t node, int32_t *local) {
    const struct terms *both[] = {&c->soft, &c->affinity};
    for (int i = 0; i < 2; i++)
        for (int32_t k = 0; k < both[i]->count; k++)
            if (both[i]->at[k].local)
                *local++ = count_at(&both[i]->at[k], node);
}

static uint32_t hash_cell(const int32_t *local, int32_t count, int32_t group) {
    uint64_t h = (uint32_t)group + 0x9e3779b97f4a7c15u;
    for (int32_t i = 0; i < count; i++)
        h = (h ^ (uint32_t)local[i]) * 0xff51afd7ed558ccdu, h ^= h >> 32;
    return (uint32_t)(h ^ h >> 32);
}

static int32_t *cell_slot(const struct class *c, const int32_t *local, int32_t group) {
    uint32_t mask = (uint32_t)c->cell_table_size - 1,
             at = hash_cell(local, c->local_scores, group) & mask;
    for (;; at = (at + 1) & mask) {
        int32_t cell = c->cell_table[at];
        if (cell < 0 || (c->cells[cell].group == group &&
                         !memcmp(c->cell_local + (size_t)cell * (size_t)c->local_scores, local,
                                 (size_t)c->local_scores * sizeof *local)))
            return &c->cell_table[at];
    }
}

static int grow_table(struct class *c) {
    int32_t size = c->cell_table_size ? 2 * c->cell_table_size : 64;
    int32_t *table = integers(size);
    if (!table)
        return -1;
    free(c->cell_table);
    c->cell_table = table;
    c->cell_table_size = size;
    memset(table, 0xff, (size_t)size * sizeof *table);
    for (int32_t i = 0; i < c->cell_count; i++)
        *cell_slot(c, c->cell_local + (size_t)i * (size_t)c->local_scores, c->cells[i].group) = i;
    return 0;
}

/* The cell of a node: made when these counts are seen in its group for the first time. */
static int32_t find_cell(struct class *c, int32_t node, int32_t group) {
    if (sched_cells_grow(c, c->cell_count + 1) < 0 ||
        (2 * c->cell_count >= c->cell_table_size && grow_table(c) < 0))
        return -1;
    int32_t *local = c->cell_local + (size_t)c->cell_count * (size_t)c->local_scores;
    counts_here(c, node, local);
    int32_t *slot = cell_slot(c, local, group);
    if (*slot < 0) {
        *slot = c->cell_count++;
        c->cells[*slot] = (struct cell){.group = group};
    }
    return *slot;
}

static uint32_t hash_bucket(int32_t cell, int32_t value) {
    uint64_t h = ((uint64_t)(uint32_t)cell << 32 | (uint32_t)value) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static int32_t *bucket_slot(const struct class *c, int32_t cell, int32_t value) {
    uint32_t mask = (uint32_t)c->bucket_table_size - 1, at = hash_bucket(cell, value) & mask;
    for (;; at = (at + 1) & mask) {
        int32_t bucket = c->bucket_table[at];
        if (bucket < 0 || (c->buckets[bucket].cell == cell && c->buckets[bucket].value == value))
            return &c->bucket_table[at];
    }
}

static int grow_bucket_table(struct class *c) {
    int32_t size = c->bucket_table_size ? 2 * c->bucket_table_size : 64;
    int32_t *table = integers(size);
    if (!table)
        return -1;
    free(c->bucket_table);
    c->bucket_table = table;
    c->bucket_table_size = size;
    memset(table, 0xff, (size_t)size * sizeof *table);
    for (int32_t i = 0; i < c->bucket_count; i++)
        *bucket_slot(c, c->buckets[i].cell, c->buckets[i].value) = i;
    return 0;
}

static int grow_buckets(struct class *c) {
    int32_t old = c->bucket_room;
    void *buckets =
        sched_grow(c->buckets, &c->bucket_room, c->bucket_count + 1, sizeof *c->buckets);
    if (!buckets)
        return -1;
    c->buckets = buckets;
    memset(c->buckets + old, 0, (size_t)(c->bucket_room - old) * sizeof *c->buckets);
    return 2 * c->bucket_count < c->bucket_table_size ? 0 : grow_bucket_table(c);
}

static int32_t find_bucket(struct class *c, int32_t cell, int32_t value) {
    if (grow_buckets(c) < 0)
        return -1;
    int32_t *slot = bucket_slot(c, cell, value);
    if (*slot < 0) {
        struct bucket *fresh =
            &c->buckets[c->bucket_count]; /* its array may be one of before the last clearing */
        fresh->cell = cell;
        fresh->value = value;
        fresh->count = 0;
        *slot = c->bucket_count++;
    }
    return *slot;
}

static void leave(struct class *c, int32_t node) {
    struct bucket *from = &c->buckets[c->bucket_of[node]];
    int32_t last = from->nodes[--from->count], at = c->bucket_at[node];
    from->nodes[at] = last;
    c->bucket_at[last] = at;
    c->cells[from->cell].nodes--;
    c->feasible--;
    c->bucket_of[node] = -1;
}

static int enter(struct class *c, int32_t node, int32_t bucket) {
    struct bucket *to = &c->buckets[bucket];
    void *nodes = sched_grow(to->nodes, &to->room, to->count + 1, sizeof *to->nodes);
    if (!nodes)
        return -1;
    to->nodes = nodes;
    c->bucket_of[node] = bucket;
    c->bucket_at[node] = to->count;
    to->nodes[to->count++] = node;
    c->cells[to->cell].nodes++;
    c->feasible++;
    return 0;
}

int sched_buckets_put(struct class *c, int32_t node, int32_t group, int32_t value) {
    int32_t bucket = -1;
    if (value >= 0) {
        int32_t cell = find_cell(c, node, group);
        bucket = cell < 0 ? -1 : find_bucket(c, cell, value);
        if (bucket < 0)
            return -1;
    }
    if (bucket == c->bucket_of[node])
        return 0;
    if (c->bucket_of[node] >= 0)
        leave(c, node);
    return bucket < 0 ? 0 : enter(c, node, bucket);
}

int sched_buckets_set_up(const struct kl_sched *s, struct class *c) {
    c->bucket_of = integers(s->nodes);
    c->bucket_at = integers(s->nodes);
    return c->bucket_of && c->bucket_at ? 0 : -1;
}

void sched_buckets_clear(const struct kl_sched *s, struct class *c) {
    c->cell_count = c->bucket_count = 0;
    for (int32_t i = 0; i < c->cell_table_size; i++)
        c->cell_table[i] = -1;
    for (int32_t i = 0; i < c->bucket_table_size; i++)
        c->bucket_table[i] = -1;
    for (int32_t n = 0; n < s->nodes; n++)
        c->bucket_of[n] = -1;
}

void sched_buckets_free(struct class *c) {
    for (int32_t i = 0; i < c->bucket_room; i++)
        free(c->buckets[i].nodes);
    void *all[] = {c->buckets,      c->bucket_of,  c->bucket_at,
                   c->bucket_table, c->cell_local, c->cell_table};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    c->buckets = NULL;
    c->bucket_of = c->bucket_at = c->bucket_table = c->cell_local = c->cell_table = NULL;
    c->bucket_count = c->bucket_room = c->bucket_table_size = c->cell_table_size = 0;
}
