#include "sched.h"

#include "cleanup.h"

#include <stdlib.h>
#include <string.h>

/*
 * Every class keeps one value per node: the weighted scores that depend on the node alone, or -1.
 * Only nodes that the log says were touched are computed again, when the class is next used. Nodes
 * that agree in all their domains and static raw scores form a group; the rest of a total is one
 * number per group. Values of a group stand together, in blocks that know their maximum, so that
 * the best node is found without looking at every node.
 *
 * Scores that count pods on the node itself (spread or affinity by host name) split a group into
 * cells, one per count; their nodes are kept in buckets instead (buckets.c).
 */

/* What tells groups apart: full domains, raw scores, or only whether a label is there. */
struct column {
    const int32_t *at;
    bool presence;
};

static void add_column(struct column *columns, int32_t *count, const int32_t *at, bool presence) {
    for (int32_t i = 0; i < *count; i++)
        if (columns[i].at == at && columns[i].presence == presence)
            return;
    columns[(*count)++] = (struct column){at, presence};
}

static void add_terms(struct column *columns, int32_t *count, const struct terms *terms) {
    for (int32_t i = 0; i < terms->count; i++)
        if (!terms->at[i].local)
            add_column(columns, count, terms->at[i].domain, false);
}

static struct column *list_columns(const struct class *c, int32_t *count) {
    size_t max_columns = (size_t)(c->forbids.count + c->requires.count + c->hard.count +
                                  2 * c->soft.count + c->affinity.count + 2);
    struct column *columns = malloc(max_columns * sizeof *columns);
    *count = 0;
    if (!columns)
        return NULL;
    const struct terms *all[] = {&c->forbids, &c->requires, &c->hard, &c->soft, &c->affinity};
    for (int i = 0; i < 5; i++)
        add_terms(columns, count, all[i]);
    for (int32_t i = 0; i < c->soft.count; i++)
        add_column(columns, count, c->soft.at[i].present, true);
    if (c->taints)
        add_column(columns, count, c->taints, false);
    if (c->prefer)
        add_column(columns, count, c->prefer, false);
    return columns;
}

static int32_t seen_as(const struct column *column, int32_t node) {
    int32_t x = column->at[node];
    return column->presence ? x >= 0 : x;
}

static uint32_t hash_of(const struct column *columns, int32_t count, int32_t node) {
    uint64_t h = 0x9e3779b97f4a7c15u;
    for (int32_t i = 0; i < count; i++)
        h = (h ^ (uint32_t)seen_as(&columns[i], node)) * 0xff51afd7ed558ccdu, h ^= h >> 32;
    return (uint32_t)h;
}

static bool same(const struct column *columns, int32_t count, int32_t a, int32_t b) {
    for (int32_t i = 0; i < count; i++)
        if (seen_as(&columns[i], a) != seen_as(&columns[i], b))
            return false;
    return true;
}

/* Numbers the groups in the order of their first nodes; `first` takes those. Returns how many there
 * are. */
static int32_t number_groups(const struct kl_sched *s, struct class *c,
                             const struct column *columns, int32_t count, int32_t *first) {
    size_t size = 16;
    while (size < 2 * (size_t)s->nodes)
        size *= 2;
    SCOPED_MEM int32_t *table = malloc(size * sizeof *table);
    if (!table)
        return -1;
    memset(table, 0xff, size * sizeof *table);
    int32_t groups = 0;
    for (int32_t n = 0; n < s->nodes; n++) {
        size_t at = hash_of(columns, count, n) & (size - 1);
        while (table[at] >= 0 && !same(columns, count, first[table[at]], n))
            at = (at + 1) & (size - 1);
        if (table[at] < 0) {
            first[groups] = n;
            table[at] = groups++;
        }
        c->group[n] = table[at];
    }
    return groups;
}

static int32_t *integers(int32_t count) {
    return malloc(((size_t)count + 1) * sizeof(int32_t));
}

/* Lays the nodes out group by group, with blocks that never cross a group's end. */
static int lay_out(const struct kl_sched *s, struct class *c) {
    c->place = integers(s->nodes);
    c->node_at = integers(s->nodes);
    c->group_start = calloc((size_t)c->groups + 2, sizeof(int32_t));
    c->group_block = calloc((size_t)c->groups + 2, sizeof(int32_t));
    SCOPED_MEM int32_t *next = integers(c->groups);
    if (!c->place || !c->node_at || !c->group_start || !c->group_block || !next)
        return -1;
    for (int32_t n = 0; n < s->nodes; n++)
        c->group_start[c->group[n] + 1]++;
    for (int32_t g = 0; g < c->groups; g++) {
        c->group_block[g + 1] =
            c->group_block[g] + (c->group_start[g + 1] + c->block - 1) / c->block;
        c->group_start[g + 1] += c->group_start[g];
        next[g] = c->group_start[g];
    }
    for (int32_t n = 0; n < s->nodes; n++) {
        c->place[n] = next[c->group[n]]++;
        c->node_at[c->place[n]] = n;
    }
    c->blocks = c->group_block[c->groups];
    return 0;
}

static int find_groups(const struct kl_sched *s, struct class *c) {
    int32_t count;
    SCOPED_MEM struct column *columns = list_columns(c, &count);
    if (!columns)
        return -1;
    c->groups = 1;
    for (c->block = 64; (int64_t)c->block * c->block < s->nodes;)
        c->block *= 2;
    c->blocks = (s->nodes + c->block - 1) / c->block;
    if (!count)
        return 0;
    SCOPED_MEM int32_t *first = integers(s->nodes);
    c->group = integers(s->nodes);
    if (!first || !c->group)
        return -1;
    c->groups = number_groups(s, c, columns, count, first);
    return c->groups < 0 ? -1 : lay_out(s, c);
}

static void drop(struct class *c) {
    int32_t **all[] = {&c->group,     &c->place,      &c->node_at, &c->group_start, &c->group_block,
                       &c->block_max, &c->block_ties, &c->value,   &c->cell_score,  &c->stamps};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        free(*all[i]);
        *all[i] = NULL;
    }
    sched_buckets_free(c);
    free(c->cells);
    c->cells = NULL;
    c->cell_room = c->stamp = 0;
}

static int32_t most_domains(const struct kl_sched *s, const struct class *c) {
    int32_t max_domains = 0;
    for (int32_t i = 0; i < c->soft.count; i++)
        if (s->keys[c->soft.at[i].counter->key].domains > max_domains)
            max_domains = s->keys[c->soft.at[i].counter->key].domains;
    return max_domains;
}

static int32_t count_local(const struct terms *terms) {
    int32_t count = 0;
    for (int32_t i = 0; i < terms->count; i++)
        count += terms->at[i].local;
    return count;
}

int sched_cells_grow(struct class *c, int32_t need) {
    int32_t room = c->cell_room;
    if (need <= room)
        return 0;
    void *cells = sched_grow(c->cells, &room, need, sizeof *c->cells);
    if (!cells)
        return -1;
    c->cells = cells;
    void *scores = realloc(c->cell_score, (size_t)room * sizeof *c->cell_score);
    if (!scores)
        return -1;
    c->cell_score = scores;
    void *local = realloc(c->cell_local,
                          ((size_t)room * (size_t)c->local_scores + 1) * sizeof *c->cell_local);
    if (!local)
        return -1;
    c->cell_local = local;
    c->cell_room = room;
    return 0;
}

static int set_up(const struct kl_sched *s, struct class *c) {
    drop(c);
    c->local_scores = count_local(&c->soft) + count_local(&c->affinity);
    if (find_groups(s, c) < 0)
        return -1;
    c->stamps = calloc((size_t)most_domains(s, c) + 1, sizeof *c->stamps);
    if (!c->stamps || sched_cells_grow(c, c->groups) < 0)
        return -1;
    c->built = true;
    if (c->local_scores)
        return sched_buckets_set_up(s, c);
    c->value = integers(s->nodes);
    c->block_max = integers(c->blocks);
    c->block_ties = integers(c->blocks);
    return c->value && c->block_max && c->block_ties ? 0 : -1;
}

static int32_t value_of(const struct kl_sched *s, const struct class *c, int32_t node) {
    if (!sched_node_fits(s, c, node, c->alone))
        return -1;
    int64_t value = 0;
    if (enabled(c, KL_SCHED_NODE_RESOURCES_FIT))
        value += weight_of(c, KL_SCHED_NODE_RESOURCES_FIT) * sched_fit_score(s, c, node);
    if (enabled(c, KL_SCHED_NODE_RESOURCES_BALANCED_ALLOCATION))
        value += weight_of(c, KL_SCHED_NODE_RESOURCES_BALANCED_ALLOCATION) *
                 sched_balanced_score(s, c, node);
    if (c->image)
        value += weight_of(c, KL_SCHED_IMAGE_LOCALITY) * c->image[node];
    return (int32_t)value;
}

static void find_block_max(struct class *c, int32_t block, int32_t from, int32_t to) {
    int32_t max = -1, ties = 0;
    for (int32_t p = from; p < to; p++)
        max = c->value[p] > max ? c->value[p] : max;
    for (int32_t p = from; p < to; p++)
        ties += c->value[p] == max;
    c->block_max[block] = max;
    c->block_ties[block] = ties;
}

static void update_block(const struct kl_sched *s, struct class *c, int32_t place, int32_t group,
                         int32_t old) {
    int32_t start = c->group_start ? c->group_start[group] : 0;
    int32_t end = c->group_start ? c->group_start[group + 1] : s->nodes;
    int32_t block = (c->group_block ? c->group_block[group] : 0) + (place - start) / c->block;
    int32_t value = c->value[place];
    if (old == c->block_max[block] && --c->block_ties[block] == 0 && value < old) {
        int32_t from = start + (place - start) / c->block * c->block;
        find_block_max(c, block, from, from + c->block < end ? from + c->block : end);
    } else if (value > c->block_max[block]) {
        c->block_max[block] = value;
        c->block_ties[block] = 1;
    } else if (value == c->block_max[block]) {
        c->block_ties[block]++;
    }
}

static int refresh_node(const struct kl_sched *s, struct class *c, int32_t node) {
    int32_t group = c->group ? c->group[node] : 0, value = value_of(s, c, node);
    if (c->local_scores)
        return sched_buckets_put(c, node, group, value);
    int32_t place = c->place ? c->place[node] : node, old = c->value[place];
    int32_t change = (value >= 0) - (old >= 0);
    c->cells[group].nodes += change;
    c->feasible += change;
    if (value == old)
        return 0;
    c->value[place] = value;
    update_block(s, c, place, group, old);
    return 0;
}

static void make_blocks(const struct kl_sched *s, struct class *c) {
    for (int32_t g = 0; g < c->groups; g++) {
        int32_t start = c->group_start ? c->group_start[g] : 0;
        int32_t end = c->group_start ? c->group_start[g + 1] : s->nodes;
        int32_t block = c->group_block ? c->group_block[g] : 0;
        for (; start < end; start += c->block, block++)
            find_block_max(c, block, start, start + c->block < end ? start + c->block : end);
    }
}

static int refresh_all(const struct kl_sched *s, struct class *c) {
    c->feasible = 0;
    if (c->local_scores) {
        sched_buckets_clear(s, c);
        for (int32_t n = 0; n < s->nodes; n++)
            if (sched_buckets_put(c, n, c->group ? c->group[n] : 0, value_of(s, c, n)) < 0)
                return -1;
        return 0;
    }
    c->cell_count = c->groups;
    for (int32_t g = 0; g < c->groups; g++)
        c->cells[g] = (struct cell){.group = g};
    for (int32_t n = 0; n < s->nodes; n++) {
        int32_t value = value_of(s, c, n);
        c->value[c->place ? c->place[n] : n] = value;
        c->cells[c->group ? c->group[n] : 0].nodes += value >= 0;
        c->feasible += value >= 0;
    }
    make_blocks(s, c);
    return 0;
}

/* What local terms read beyond their node: minima of hard spread, and whether required affinity is
 * waived. */
static bool is_stale(struct class *c) {
    bool alone = sched_alone(c), stale = alone != c->alone;
    c->alone = alone;
    for (int32_t i = 0; i < c->hard.count; i++) {
        if (!c->hard.at[i].local)
            continue;
        stale |= c->mins[i] != c->hard.at[i].counter->min;
        c->mins[i] = c->hard.at[i].counter->min;
    }
    return stale;
}

int sched_refresh(const struct kl_sched *s, struct class *c) {
    uint64_t now = s->log_base + (uint64_t)s->log_count;
    bool fresh = !c->built;
    if (fresh && set_up(s, c) < 0)
        return -1;
    if (is_stale(c) || fresh || c->seen < s->log_base || now - c->seen > (uint64_t)s->nodes ||
        c->bucket_count > s->nodes + 64) {
        c->seen = now;
        c->built = refresh_all(s, c) == 0;
        return c->built ? 0 : -1;
    }
    for (; c->seen < now; c->seen++)
        if (refresh_node(s, c, s->log[c->seen - s->log_base]) < 0)
            return -1;
    return 0;
}
