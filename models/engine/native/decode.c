/* One new token of every row through a Llama- or Qwen3-shaped model, over shared trunks and own suffixes.
 *
 * A token of a small model is a thousand small steps; as calls of a framework, each wakes the other threads and waits for
 * them. Here all of them are one call: threads stay together and meet a few times a layer. Hidden states are kept in
 * float32, products take bf16.
 */
#include "attention.h"

#include <stdlib.h>
#include <string.h>

enum { TASK_LANES = 48 }; /* queries of one key head and trunk that are attended together, at most about so many */

/* Weights [outputs][inputs] as panels of 64 outputs: [panel][inputs / 2][64] pairs; missing outputs are zero. */
void pack_weight(const bf16 *weight, int32_t outputs, int32_t inputs, uint32_t *packed) {
    const int pairs = inputs / 2;
    for (int panel = 0; panel * PANEL < outputs; panel++, packed += (ptrdiff_t)pairs * PANEL)
        for (int column = 0; column < PANEL; column++) {
            int output = panel * PANEL + column;
            const uint32_t *row = (const uint32_t *)(weight + (ptrdiff_t)output * inputs);
            for (int pair = 0; pair < pairs; pair++)
                packed[(ptrdiff_t)pair * PANEL + column] = output < outputs ? row[pair] : 0;
        }
}

typedef struct {
    const uint32_t *into_attention; /* queries, keys, values */
    const uint32_t *out_of_attention;
    const uint32_t *into_mlp; /* 16 gates, 16 ups, 16 gates, … */
    const uint32_t *out_of_mlp;
    const float *norm_attention, *norm_mlp;
    const float *norm_query, *norm_key; /* [width], or NULL */
} Layer;

typedef struct {
    int32_t hidden, heads, kv_heads, width, inner, layers, vocabulary;
    float epsilon, scale;
    const Layer *layer;
    const float *norm;
    const uint32_t *head;
} Model;

typedef struct {
    int32_t rows, capacity, branches, threads;
    float *hidden;              /* [rows][hidden]: the tokens' embeddings; used up */
    const float *cosine, *sine; /* [rows][width] */
    const int32_t *lengths;     /* [rows]: tokens of the suffix before this one */
    const int32_t *visible;     /* [rows]: tokens of its trunk that a row sees */
    bf16 *const *keys, *const *values; /* [layers]: suffixes [rows][kv_heads][capacity][width] */
    const int32_t *first;       /* [branches + 1]: rows of each branch */
    const int32_t *tokens;      /* [branches]: how long its trunk is */
    const bf16 *const *trunk_keys, *const *trunk_values; /* [layers][branches]: [kv_heads][tokens][width] */
    float *logits;              /* [rows][vocabulary] */
} Step;

typedef struct {
    int first, rows, branch, kv_head;
} Task;

typedef struct {
    const Model *model;
    const Step *step;
    bf16 *input;   /* [rows][hidden]: what enters a product */
    float *packed; /* [rows][heads + 2 * kv_heads][width] */
    bf16 *query, *attended; /* [rows][heads][width] */
    bf16 *between; /* [rows][inner] */
    Task *tasks;
    int task_count;
} Pass;

static void part_of(int total, int member, int size, int *begin, int *end) {
    *begin = (int)((int64_t)total * member / size);
    *end = (int)((int64_t)total * (member + 1) / size);
}

/* out[row][n] = (or +=) input[row] . weight[n] for the vectors of outputs [begin, end) of `weight`. */
static void product(const bf16 *input, int rows, int inputs, const uint32_t *weight, int begin, int end, float *out,
                    ptrdiff_t out_row, int add) {
    const int pairs = inputs / 2;
    const uint32_t *at[MOST_ROWS];
    for (int v = begin; v < end;) {
        int inside = v % MOST_VECTORS, vectors = at_most(MOST_VECTORS - inside, end - v);
        const uint32_t *panel = weight + (ptrdiff_t)(v / MOST_VECTORS) * pairs * PANEL + inside * LANES;
        for (int row = 0; row < rows; row += MOST_ROWS) {
            int taken = at_most(MOST_ROWS, rows - row);
            for (int m = 0; m < taken; m++) at[m] = (const uint32_t *)(input + (ptrdiff_t)(row + m) * inputs);
            multiply_tile(taken, vectors, at, 1, panel, PANEL, pairs, out + row * out_row + v * LANES, out_row,
                          add);
        }
        v += vectors;
    }
}

static float size_of(const float *values, int count) {
    __m512 sum = _mm512_setzero_ps();
    for (int d = 0; d < count; d += LANES) {
        __m512 x = _mm512_loadu_ps(values + d);
        sum = _mm512_fmadd_ps(x, x, sum);
    }
    return _mm512_reduce_add_ps(sum) / count;
}

static void norm_rows(const Pass *pass, const float *weight, int member, int size) {
    int begin, end, hidden = pass->model->hidden;
    part_of(pass->step->rows, member, size, &begin, &end);
    for (int row = begin; row < end; row++) {
        const float *values = pass->step->hidden + (ptrdiff_t)row * hidden;
        __m512 scale = _mm512_set1_ps(1.0f / __builtin_sqrtf(size_of(values, hidden) + pass->model->epsilon));
        for (int d = 0; d < hidden; d += LANES)
            to_bf16(pass->input + (ptrdiff_t)row * hidden + d,
                    _mm512_mul_ps(_mm512_mul_ps(_mm512_loadu_ps(values + d), scale), _mm512_loadu_ps(weight + d)));
    }
}

/* One head's query or key: normed if there is a norm, rotated, rounded. */
static void rotate(const Model *model, float *head, const float *norm, const float *cosine, const float *sine,
                   bf16 *target) {
    const int width = model->width, half = width / 2;
    if (norm) {
        __m512 scale = _mm512_set1_ps(1.0f / __builtin_sqrtf(size_of(head, width) + model->epsilon));
        for (int d = 0; d < width; d += LANES)
            _mm512_storeu_ps(head + d, _mm512_mul_ps(_mm512_mul_ps(_mm512_loadu_ps(head + d), scale),
                                                     _mm512_loadu_ps(norm + d)));
    }
    for (int d = 0; d < half; d += LANES) {
        __m512 low = _mm512_loadu_ps(head + d), high = _mm512_loadu_ps(head + half + d);
        __m512 one = _mm512_mul_ps(low, _mm512_loadu_ps(cosine + d));
        __m512 other = _mm512_mul_ps(high, _mm512_loadu_ps(cosine + half + d));
        to_bf16(target + d, _mm512_fnmadd_ps(high, _mm512_loadu_ps(sine + d), one));
        to_bf16(target + half + d, _mm512_fmadd_ps(low, _mm512_loadu_ps(sine + half + d), other));
    }
}

static void place_rows(const Pass *pass, int number, int member, int size) {
    const Model *model = pass->model;
    const Step *step = pass->step;
    const Layer *layer = model->layer + number;
    const int width = model->width, outputs = (model->heads + 2 * model->kv_heads) * width;
    int begin, end;
    part_of(step->rows, member, size, &begin, &end);
    for (int row = begin; row < end; row++) {
        float *at = pass->packed + (ptrdiff_t)row * outputs;
        const float *cosine = step->cosine + (ptrdiff_t)row * width, *sine = step->sine + (ptrdiff_t)row * width;
        for (int head = 0; head < model->heads; head++, at += width)
            rotate(model, at, layer->norm_query, cosine, sine,
                   pass->query + ((ptrdiff_t)row * model->heads + head) * width);
        for (int head = 0; head < model->kv_heads; head++, at += width) {
            ptrdiff_t place = ((ptrdiff_t)row * model->kv_heads + head) * step->capacity + step->lengths[row];
            rotate(model, at, layer->norm_key, cosine, sine, step->keys[number] + place * width);
            const float *value = at + model->kv_heads * width;
            for (int d = 0; d < width; d += LANES)
                to_bf16(step->values[number] + place * width + d, _mm512_loadu_ps(value + d));
        }
    }
}

/* Go on with the softmax of one lane over its row's own suffix; the result is what attention gives. */
static void attend_own(Softmax *softmax, int lane, const bf16 *query, const bf16 *keys, const bf16 *values, int count,
                       float *scores, bf16 *target) {
    const int width = softmax->width;
    float top = softmax->highest[lane];
    for (int n = 0; n < count; n++) {
        __m512 sum = _mm512_setzero_ps();
        for (int d = 0; d < width; d += 2 * LANES)
            sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_loadu_si512(query + d),
                                   (__m512bh)_mm512_loadu_si512(keys + (ptrdiff_t)n * width + d));
        scores[n] = _mm512_reduce_add_ps(sum) * softmax->factor;
        top = scores[n] > top ? scores[n] : top;
    }
    __m512 all = _mm512_setzero_ps();
    for (int n = 0; n < count; n += LANES) {
        __mmask16 there = count - n >= LANES ? 0xFFFF : (__mmask16)((1u << (count - n)) - 1);
        __m512 s = _mm512_sub_ps(_mm512_maskz_loadu_ps(there, scores + n), _mm512_set1_ps(top));
        __m512 weight = _mm512_maskz_mov_ps(there, power_of_two(s));
        _mm512_mask_storeu_ps(scores + n, there, weight);
        all = _mm512_add_ps(all, weight);
    }
    float kept = _mm512_cvtss_f32(power_of_two(_mm512_set1_ps(softmax->highest[lane] - top)));
    float total = softmax->total[lane] * kept + _mm512_reduce_add_ps(all);
    for (int d = 0; d < width; d += LANES) {
        __m512 sum = _mm512_mul_ps(_mm512_loadu_ps(softmax->out + (ptrdiff_t)lane * width + d), _mm512_set1_ps(kept));
        for (int n = 0; n < count; n++)
            sum = _mm512_fmadd_ps(_mm512_set1_ps(scores[n]), from_bf16(values + (ptrdiff_t)n * width + d), sum);
        to_bf16(target + d, _mm512_mul_ps(sum, _mm512_set1_ps(1.0f / total)));
    }
}

static void attend_task(const Pass *pass, int number, const Task *task, Softmax *softmax, int32_t *visible,
                        float *scores) {
    const Model *model = pass->model;
    const Step *step = pass->step;
    const int share = model->heads / model->kv_heads, width = model->width, used = task->rows * share;
    const bf16 *rows[2 * TASK_LANES];
    softmax->lanes = up_to(used, LANES);
    forget_all(softmax);
    for (int lane = 0; lane < softmax->lanes; lane++) {
        int row = task->first + lane / share, head = task->kv_head * share + lane % share;
        rows[lane] = lane < used ? pass->query + ((ptrdiff_t)row * model->heads + head) * width : NULL;
        visible[lane] = lane < used ? step->visible[row] : 0;
    }
    lanes_of(rows, softmax->lanes, width, softmax->query);
    int tokens = 0;
    for (int lane = 0; lane < used; lane++) tokens = visible[lane] > tokens ? visible[lane] : tokens;
    ptrdiff_t trunk = (ptrdiff_t)number * step->branches + task->branch;
    ptrdiff_t begin = (ptrdiff_t)task->kv_head * step->tokens[task->branch] * width;
    Seen seen = {.keys = step->trunk_keys[trunk] + begin, .values = step->trunk_values[trunk] + begin, .step = width,
                 .count = tokens, .visible = visible};
    attend_over(softmax, &seen);
    for (int lane = 0; lane < used; lane++) {
        int row = task->first + lane / share;
        ptrdiff_t own = ((ptrdiff_t)row * model->kv_heads + task->kv_head) * step->capacity * width;
        attend_own(softmax, lane, rows[lane], step->keys[number] + own, step->values[number] + own,
                   step->lengths[row] + 1, scores, pass->attended + (rows[lane] - pass->query));
    }
}

/* The gated MLP's middle: silu(gate) * up, rounded. */
static void gate_rows(const Pass *pass, const Layer *layer, int member, int size) {
    const Model *model = pass->model;
    const int rows = pass->step->rows;
    int begin, end;
    part_of(model->inner / LANES, member, size, &begin, &end);
    float *both = scratch(sizeof(float) * rows * PANEL);
    for (int v = begin; v < end;) {
        int pairs = at_most(2 - v % 2, end - v), vectors = 2 * pairs; /* a gate and its up are neighbours of a panel */
        product(pass->input, rows, model->hidden, layer->into_mlp, 2 * v, 2 * v + vectors, both - 2 * v * LANES, PANEL,
                0);
        for (int row = 0; row < rows; row++)
            for (int p = 0; p < pairs; p++) {
                __m512 gate = _mm512_loadu_ps(both + row * PANEL + 2 * p * LANES);
                __m512 up = _mm512_loadu_ps(both + row * PANEL + (2 * p + 1) * LANES);
                __m512 e = power_of_two(_mm512_min_ps(_mm512_mul_ps(gate, _mm512_set1_ps(-LOG2E)),
                                                      _mm512_set1_ps(126.0f)));
                __m512 silu = _mm512_div_ps(gate, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
                to_bf16(pass->between + (ptrdiff_t)row * model->inner + (v + p) * LANES, _mm512_mul_ps(silu, up));
            }
        v += pairs;
    }
    free(both);
}

static void run_layer(Team *team, int member, Pass *pass, int number, Softmax *softmax, int32_t *visible,
                      float *scores) {
    const Model *model = pass->model;
    const Step *step = pass->step;
    const Layer *layer = model->layer + number;
    const int size = members(team), attended = model->heads * model->width;
    const int outputs = (model->heads + 2 * model->kv_heads) * model->width;
    int begin, end;
    norm_rows(pass, layer->norm_attention, member, size);
    meet(team);
    part_of(outputs / LANES, member, size, &begin, &end);
    product(pass->input, step->rows, model->hidden, layer->into_attention, begin, end, pass->packed, outputs, 0);
    if (member == 0) restart(team);
    meet(team);
    place_rows(pass, number, member, size);
    meet(team);
    for (int task; (task = next_task(team)) < pass->task_count;)
        attend_task(pass, number, pass->tasks + task, softmax, visible, scores);
    meet(team);
    part_of(model->hidden / LANES, member, size, &begin, &end);
    product(pass->attended, step->rows, attended, layer->out_of_attention, begin, end, step->hidden, model->hidden, 1);
    meet(team);
    norm_rows(pass, layer->norm_mlp, member, size);
    meet(team);
    gate_rows(pass, layer, member, size);
    meet(team);
    product(pass->between, step->rows, model->inner, layer->out_of_mlp, begin, end, step->hidden, model->hidden, 1);
    meet(team);
}

static void step_work(Team *team, int member, void *job) {
    Pass *pass = job;
    const Model *model = pass->model;
    const Step *step = pass->step;
    Softmax softmax = new_softmax(2 * TASK_LANES, model->width, model->scale * LOG2E);
    int32_t visible[2 * TASK_LANES];
    float *scores = scratch(sizeof(float) * step->capacity);
    for (int number = 0; number < model->layers; number++)
        run_layer(team, member, pass, number, &softmax, visible, scores);
    norm_rows(pass, model->norm, member, members(team));
    meet(team);
    int begin, end;
    part_of(model->vocabulary / LANES, member, members(team), &begin, &end);
    product(pass->input, step->rows, model->hidden, model->head, begin, end, step->logits, model->vocabulary, 0);
    free(scores);
    free(softmax.out);
}

static int plan_tasks(const Model *model, const Step *step, Task *tasks) {
    const int most = TASK_LANES / (model->heads / model->kv_heads), rows_at_once = most < 1 ? 1 : most;
    int count = 0;
    for (int branch = 0; branch < step->branches; branch++)
        for (int row = step->first[branch]; row < step->first[branch + 1]; row += rows_at_once)
            for (int head = 0; head < model->kv_heads; head++)
                tasks[count++] =
                    (Task){row, at_most(rows_at_once, step->first[branch + 1] - row), branch, head};
    return count;
}

void decode_step(const Model *model, const Step *step) {
    const size_t rows = step->rows, outputs = (size_t)(model->heads + 2 * model->kv_heads) * model->width;
    const size_t heads = (size_t)model->heads * model->width;
    Pass pass = {.model = model, .step = step};
    pass.input = scratch(sizeof(bf16) * rows * model->hidden);
    pass.packed = scratch(sizeof(float) * rows * outputs);
    pass.query = scratch(sizeof(bf16) * rows * heads);
    pass.attended = scratch(sizeof(bf16) * rows * heads);
    pass.between = scratch(sizeof(bf16) * rows * model->inner);
    pass.tasks = scratch(sizeof(Task) * rows * model->kv_heads);
    pass.task_count = plan_tasks(model, step, pass.tasks);
    together(step->threads, step_work, &pass);
    free(pass.input);
    free(pass.packed);
    free(pass.query);
    free(pass.attended);
    free(pass.between);
    free(pass.tasks);
}
