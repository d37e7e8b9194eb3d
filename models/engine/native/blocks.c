/* Attention of training and prefill: blocks of queries over the keys that any of them sees, forward and backward.
 *
 * The backward recomputes a block's probabilities from the saved log-sum-exps (Dao 2023, FlashAttention-2, section
 * 2.3.2). Blocks are given to threads by a plan that depends on their sizes alone, and each thread sums gradients of
 * keys and values on its own, so one input gives one result, bit for bit, with one number of threads.
 */
#include "attention.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int32_t start, stop; /* queries */
    int32_t count, common;
    const int32_t *index;
    const uint8_t *hidden;
} Block;

typedef struct {
    int32_t batch, heads, kv_heads, queries, keys, width, blocks, threads;
    float scale;
    const Block *plan;
    const bf16 *query, *key, *value; /* query: [batch][queries][heads][width]; of keys and values see below */
    int64_t key_token, key_head, key_batch; /* from a key or value to that of the next token, head, row of the batch */
    bf16 *out;                              /* as query */
    float *lse;                             /* [batch][queries][heads], natural logarithm */
    /* backward only; keys and values then lie as [batch][keys][kv_heads][width] */
    const bf16 *gradient;
    bf16 *d_query, *d_key, *d_value;
    float *sums; /* scratch: for each thread d_key and d_value, laid out as those */
} Attention;

typedef struct {
    const Attention *of;
    int *owner; /* of each task: the thread that does it (backward) */
} Job;

static int share_of(const Attention *a) { return a->heads / a->kv_heads; }
static int tasks_of(const Attention *a) { return a->batch * a->kv_heads * a->blocks; }

/* A task: one block of the queries of one key head. */
typedef struct {
    const Block *block;
    int batch, kv_head, padded, lanes;
} Task;

static Task task_of(const Attention *a, int number) {
    /* The last blocks are the largest of causal rows: they come first, so that threads end together. */
    Task task = {.block = a->plan + a->blocks - 1 - number / (a->batch * a->kv_heads)};
    task.batch = number / a->kv_heads % a->batch;
    task.kv_head = number % a->kv_heads;
    task.padded = up_to(task.block->stop - task.block->start, LANES);
    task.lanes = share_of(a) * task.padded;
    return task;
}

static int most_lanes(const Attention *a) {
    int most = 0;
    for (int n = 0; n < a->blocks; n++) {
        int rows = up_to(a->plan[n].stop - a->plan[n].start, LANES);
        most = rows > most ? rows : most;
    }
    return most * share_of(a);
}

static Seen seen_by(const Attention *a, const Task *task) {
    ptrdiff_t begin = task->batch * a->key_batch + task->kv_head * a->key_head;
    return (Seen){.keys = a->key + begin, .values = a->value + begin, .step = a->key_token,
                  .index = task->block->index, .count = task->block->count, .common = task->block->common, .hidden = task->block->hidden,
                  .rows = task->block->stop - task->block->start, .padded = task->padded};
}

/* Where a lane's query is in [batch][queries][heads], or -1 for a lane that only fills up. */
static ptrdiff_t place_of(const Attention *a, const Task *task, int lane) {
    int row = lane % task->padded, head = task->kv_head * share_of(a) + lane / task->padded;
    if (row >= task->block->stop - task->block->start) return -1;
    return ((ptrdiff_t)task->batch * a->queries + task->block->start + row) * a->heads + head;
}

static void rows_of(const Attention *a, const Task *task, const bf16 *all, const bf16 **rows) {
    for (int lane = 0; lane < task->lanes; lane++) {
        ptrdiff_t place = place_of(a, task, lane);
        rows[lane] = place < 0 ? NULL : all + place * a->width;
    }
}

static void forward_task(const Attention *a, const Task *task, Softmax *softmax, const bf16 **rows) {
    softmax->lanes = task->lanes;
    forget_all(softmax);
    rows_of(a, task, a->query, rows);
    lanes_of(rows, task->lanes, a->width, softmax->query);
    Seen seen = seen_by(a, task);
    attend_over(softmax, &seen);
    for (int lane = 0; lane < task->lanes; lane++) {
        ptrdiff_t place = place_of(a, task, lane);
        if (place < 0) continue;
        __m512 divided = _mm512_set1_ps(1.0f / softmax->total[lane]);
        for (int d = 0; d < a->width; d += LANES)
            to_bf16(a->out + place * a->width + d,
                    _mm512_mul_ps(_mm512_loadu_ps(softmax->out + (ptrdiff_t)lane * a->width + d), divided));
        a->lse[place] = softmax->highest[lane] * LN2 + __builtin_logf(softmax->total[lane]);
    }
}

static void forward_work(Team *team, int member, void *job) {
    (void)member;
    const Attention *a = ((Job *)job)->of;
    Softmax softmax = new_softmax(most_lanes(a), a->width, a->scale * LOG2E);
    const bf16 **rows = scratch(sizeof *rows * most_lanes(a));
    for (int number; (number = next_task(team)) < tasks_of(a);) {
        Task task = task_of(a, number);
        forward_task(a, &task, &softmax, rows);
    }
    free(rows);
    free(softmax.out);
}

void attention_forward(const Attention *a) {
    Job job = {.of = a};
    together(at_most(a->threads, tasks_of(a)), forward_work, &job);
}

/* ---- backward ---- */

enum { KEYS = 96 }; /* keys whose probabilities are held at once: a multiple of MOST_ROWS */

/* Queries and gradients of a block as the five products want them. */
typedef struct {
    int lanes, width;
    uint32_t *query, *gradient;             /* [width / 2][lanes]: summed over the width */
    uint32_t *query_pairs, *gradient_pairs; /* [lanes / 2][width]: summed over the lanes */
    float *lse, *delta;                     /* [lanes], lse in units of log 2 */
    float *d_query;                         /* [lanes][width] */
    bf16 *p, *ds;                           /* [KEYS][lanes] */
    uint32_t *ds_pairs;                     /* [KEYS / 2][lanes] */
    uint32_t *key_pairs;                    /* [KEYS / 2][width] */
    void *memory;
} Workspace;

static Workspace new_workspace(int lanes, int width) {
    size_t words = (size_t)lanes * width / 2, held = (size_t)KEYS * lanes / 2;
    Workspace w = {.lanes = lanes, .width = width};
    w.memory = scratch(4 * (4 * words + 2 * (size_t)lanes + 2 * words + 3 * held + (size_t)KEYS / 2 * width));
    w.query = w.memory;
    w.gradient = w.query + words;
    w.query_pairs = w.gradient + words;
    w.gradient_pairs = w.query_pairs + words;
    w.d_query = (float *)(w.gradient_pairs + words);
    w.p = (bf16 *)(w.d_query + 2 * words);
    w.ds = w.p + 2 * held;
    w.ds_pairs = (uint32_t *)(w.ds + 2 * held);
    w.key_pairs = w.ds_pairs + held;
    w.lse = (float *)(w.key_pairs + (size_t)KEYS / 2 * width);
    w.delta = w.lse + lanes;
    return w;
}

static void fill_workspace(const Attention *a, const Task *task, Workspace *w) {
    const bf16 **rows = scratch(sizeof *rows * w->lanes);
    memset(w->d_query, 0, sizeof(float) * w->lanes * w->width);
    rows_of(a, task, a->query, rows);
    lanes_of(rows, w->lanes, w->width, w->query);
    for (int lane = 0; lane < w->lanes; lane += 2)
        pair_rows(rows[lane], rows[lane + 1], w->width, w->query_pairs + (ptrdiff_t)lane / 2 * w->width);
    rows_of(a, task, a->gradient, rows);
    lanes_of(rows, w->lanes, w->width, w->gradient);
    for (int lane = 0; lane < w->lanes; lane += 2)
        pair_rows(rows[lane], rows[lane + 1], w->width, w->gradient_pairs + (ptrdiff_t)lane / 2 * w->width);
    for (int lane = 0; lane < w->lanes; lane++) {
        ptrdiff_t place = place_of(a, task, lane);
        __m512 sum = _mm512_setzero_ps();
        for (int d = 0; place >= 0 && d < w->width; d += LANES)
            sum = _mm512_fmadd_ps(from_bf16(a->out + place * w->width + d), from_bf16(rows[lane] + d), sum);
        w->delta[lane] = _mm512_reduce_add_ps(sum);
        w->lse[lane] = place < 0 ? 0.0f : a->lse[place] * LOG2E;
    }
    free(rows);
}

/* Probabilities and gradients of scores of up to MOST_ROWS keys for up to PANEL lanes, from `lane`. */
static void differentiate(const Attention *a, const Seen *seen, Workspace *w, const uint32_t *const *keys,
                          const uint32_t *const *values, int first, int held, int rows, int lane) {
    const int vectors = at_most(MOST_VECTORS, (w->lanes - lane) / LANES), all_seen = first + rows <= seen->common;
    const __m512 factor = _mm512_set1_ps(a->scale * LOG2E);
    float scores[MOST_ROWS * PANEL], upstream[MOST_ROWS * PANEL];
    multiply_tile(rows, vectors, keys, 1, w->query + lane, w->lanes, w->width / 2, scores, PANEL, 0);
    multiply_tile(rows, vectors, values, 1, w->gradient + lane, w->lanes, w->width / 2, upstream, PANEL, 0);
    for (int v = 0; v < vectors; v++) {
        int at = lane + v * LANES;
        __m512 lse = _mm512_loadu_ps(w->lse + at), delta = _mm512_loadu_ps(w->delta + at), ds[MOST_ROWS + 1];
        for (int m = 0; m < rows; m++) {
            __mmask16 sees = all_seen ? 0xFFFF : who_sees(seen, first + m, at);
            __m512 s = _mm512_loadu_ps(scores + m * PANEL + v * LANES);
            __m512 p = _mm512_maskz_mov_ps(sees, power_of_two(_mm512_fmsub_ps(s, factor, lse)));
            ds[m] = _mm512_mul_ps(p, _mm512_sub_ps(_mm512_loadu_ps(upstream + m * PANEL + v * LANES), delta));
            to_bf16(w->p + (ptrdiff_t)(held + m) * w->lanes + at, p);
            to_bf16(w->ds + (ptrdiff_t)(held + m) * w->lanes + at, ds[m]);
        }
        if (rows % 2) ds[rows] = _mm512_setzero_ps();
        for (int m = 0; m < rows; m += 2)
            _mm512_storeu_si512(w->ds_pairs + (ptrdiff_t)(held + m) / 2 * w->lanes + at, paired(ds[m], ds[m + 1]));
    }
}

/* sums[index[row]] += rows x columns of the product of held [KEYS][lanes] and pairs [lanes / 2][width]. */
static void add_to_keys(const Workspace *w, const Seen *seen, const bf16 *held, const uint32_t *pairs, int first,
                        int count, float *sums) {
    float part[MOST_ROWS * PANEL];
    const uint32_t *rows[MOST_ROWS];
    for (int n = 0; n < count; n += MOST_ROWS) {
        int taken = at_most(MOST_ROWS, count - n);
        for (int m = 0; m < taken; m++) rows[m] = (const uint32_t *)(held + (ptrdiff_t)(n + m) * w->lanes);
        for (int d = 0; d < w->width; d += PANEL) {
            int vectors = at_most(MOST_VECTORS, (w->width - d) / LANES);
            multiply_tile(taken, vectors, rows, 1, pairs + d, w->width, w->lanes / 2, part, PANEL, 0);
            for (int m = 0; m < taken; m++) {
                int key = first + n + m;
                float *row = sums + (seen->index ? seen->index[key] : key) * seen->step + d;
                for (int v = 0; v < vectors; v++, row += LANES)
                    _mm512_storeu_ps(row, _mm512_add_ps(_mm512_loadu_ps(row),
                                                        _mm512_loadu_ps(part + m * PANEL + v * LANES)));
            }
        }
    }
}

static void backward_task(const Attention *a, const Task *task, Workspace *w, float *d_keys, float *d_values) {
    w->lanes = task->lanes;
    fill_workspace(a, task, w);
    Seen seen = seen_by(a, task);
    for (int first = 0; first < seen.count; first += KEYS) {
        int count = at_most(KEYS, seen.count - first);
        const uint32_t *keys[KEYS], *values[KEYS];
        for (int n = 0; n < count; n++) {
            ptrdiff_t row = (seen.index ? seen.index[first + n] : first + n) * seen.step;
            keys[n] = (const uint32_t *)(seen.keys + row);
            values[n] = (const uint32_t *)(seen.values + row);
        }
        for (int lane = 0; lane < w->lanes; lane += PANEL)
            for (int n = 0; n < count; n += MOST_ROWS)
                differentiate(a, &seen, w, keys + n, values + n, first + n, n, at_most(MOST_ROWS, count - n), lane);
        for (int n = 0; n < count; n += 2)
            pair_rows((const bf16 *)keys[n], n + 1 < count ? (const bf16 *)keys[n + 1] : NULL, a->width,
                      w->key_pairs + (ptrdiff_t)n / 2 * a->width);
        add_to_keys(w, &seen, w->p, w->gradient_pairs, first, count, d_values);
        add_to_keys(w, &seen, w->ds, w->query_pairs, first, count, d_keys);
        add_rows(w->ds_pairs, w->key_pairs, count, w->lanes, w->width, w->d_query);
    }
    for (int lane = 0; lane < w->lanes; lane++) {
        ptrdiff_t place = place_of(a, task, lane);
        for (int d = 0; place >= 0 && d < a->width; d += LANES)
            to_bf16(a->d_query + place * a->width + d,
                    _mm512_mul_ps(_mm512_loadu_ps(w->d_query + (ptrdiff_t)lane * a->width + d),
                                  _mm512_set1_ps(a->scale)));
    }
}

/* Each task to the thread that has least to do so far, the largest tasks first (they come first in their order). */
static void assign(const Attention *a, int threads, int *owner) {
    int64_t *load = scratch(sizeof *load * threads);
    memset(load, 0, sizeof *load * threads);
    for (int number = 0; number < tasks_of(a); number++) {
        int least = 0;
        for (int n = 1; n < threads; n++)
            if (load[n] < load[least]) least = n;
        Task task = task_of(a, number);
        owner[number] = least;
        load[least] += (int64_t)(task.block->count + 64) * task.lanes; /* 64: what a block costs without keys */
    }
    free(load);
}

static void backward_work(Team *team, int member, void *given) {
    const Job *job = given;
    const Attention *a = job->of;
    const ptrdiff_t all = (ptrdiff_t)a->batch * a->keys * a->kv_heads * a->width;
    float *mine = a->sums + 2 * all * member;
    memset(mine, 0, sizeof(float) * 2 * all);
    Workspace workspace = new_workspace(most_lanes(a), a->width);
    for (int number = 0; number < tasks_of(a); number++) {
        if (job->owner[number] != member) continue;
        Task task = task_of(a, number);
        ptrdiff_t begin = task.batch * a->key_batch + task.kv_head * a->key_head;
        backward_task(a, &task, &workspace, mine + begin, mine + all + begin);
    }
    free(workspace.memory);
    meet(team);
    const ptrdiff_t vectors = all / LANES, size = members(team);
    for (ptrdiff_t n = vectors * member / size; n < vectors * (member + 1) / size; n++) {
        __m512 key = _mm512_setzero_ps(), value = key;
        for (int other = 0; other < size; other++) {
            const float *theirs = a->sums + 2 * all * other + n * LANES;
            key = _mm512_add_ps(key, _mm512_loadu_ps(theirs));
            value = _mm512_add_ps(value, _mm512_loadu_ps(theirs + all));
        }
        to_bf16(a->d_key + n * LANES, _mm512_mul_ps(key, _mm512_set1_ps(a->scale)));
        to_bf16(a->d_value + n * LANES, value);
    }
}

void attention_backward(const Attention *a) {
    int threads = at_most(a->threads, tasks_of(a));
    Job job = {.of = a, .owner = scratch(sizeof(int) * tasks_of(a))};
    assign(a, threads, job.owner);
    together(threads, backward_work, &job);
    free(job.owner);
}
