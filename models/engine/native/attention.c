#include "attention.h"

#include <stdlib.h>
#include <string.h>

/* Below every score and below NOTHING, so that hidden keys weigh nothing even where none was seen yet. */
#define HIDDEN (2 * NOTHING)

Softmax new_softmax(int lanes, int width, float factor) {
    size_t out = (size_t)lanes * width, scores = (size_t)CHUNK * lanes;
    size_t query = (size_t)lanes * width / 2, beside = (size_t)CHUNK / 2 * width;
    float *memory = scratch(4 * (out + 2 * (size_t)lanes + scores + scores / 2 + beside + query));
    Softmax made = {.lanes = lanes, .width = width, .factor = factor, .out = memory};
    made.highest = made.out + out;
    made.total = made.highest + lanes;
    made.scores = made.total + lanes;
    made.weights = (uint32_t *)(made.scores + scores);
    made.beside = made.weights + scores / 2;
    made.query = made.beside + beside;
    forget_all(&made);
    return made;
}

void forget_all(Softmax *softmax) {
    for (int lane = 0; lane < softmax->lanes; lane++) softmax->highest[lane] = NOTHING;
    memset(softmax->total, 0, sizeof(float) * softmax->lanes);
    memset(softmax->out, 0, sizeof(float) * softmax->lanes * softmax->width);
}

void lanes_of(const bf16 *const *rows, int lanes, int width, uint32_t *query) {
    for (int lane = 0; lane < lanes; lane++) {
        const uint32_t *row = (const uint32_t *)rows[lane];
        for (int pair = 0; pair < width / 2; pair++) query[pair * lanes + lane] = row ? row[pair] : 0;
    }
}

__mmask16 who_sees(const Seen *seen, int key, int lane) {
    if (seen->visible)
        return _mm512_cmpgt_epi32_mask(_mm512_loadu_si512(seen->visible + lane), _mm512_set1_epi32(key));
    if (key < seen->common) return 0xFFFF;
    int row = lane % seen->padded, beyond = key - seen->common;
    if (!seen->hidden) return row >= beyond ? 0xFFFF : (__mmask16)(0xFFFFu << at_most(beyond - row, LANES));
    int left = at_most(seen->rows - row, LANES);
    if (left <= 0) return 0xFFFF;
    __mmask16 there = (__mmask16)((1u << left) - 1);
    __m128i bytes = _mm_maskz_loadu_epi8(there, seen->hidden + (ptrdiff_t)beyond * seen->rows + row);
    return (__mmask16)~_mm_test_epi8_mask(bytes, bytes);
}

static const bf16 *row_of(const Seen *seen, const bf16 *rows, int number) {
    return rows + (seen->index ? seen->index[number] : number) * seen->step;
}

/* Scores of `count` keys from `first`, as [key][lane]. */
static void score(const Softmax *softmax, const Seen *seen, int first, int count) {
    const uint32_t *rows[CHUNK];
    for (int n = 0; n < count; n++) rows[n] = (const uint32_t *)row_of(seen, seen->keys, first + n);
    for (int lane = 0; lane < softmax->lanes; lane += PANEL) {
        int vectors = at_most(MOST_VECTORS, (softmax->lanes - lane) / LANES);
        for (int n = 0; n < count; n += MOST_ROWS)
            multiply_tile(at_most(MOST_ROWS, count - n), vectors, rows + n, 1, softmax->query + lane, softmax->lanes,
                          softmax->width / 2, softmax->scores + (ptrdiff_t)n * softmax->lanes + lane, softmax->lanes,
                          0);
    }
}

/* Scores of 16 lanes to weights, in pairs of keys; returns what their earlier sums are to be multiplied with. */
static __m512 weigh(Softmax *softmax, const Seen *seen, int first, int count, int lane, int all_seen) {
    const __m512 factor = _mm512_set1_ps(softmax->factor);
    const int lanes = softmax->lanes;
    float *scores = softmax->scores + lane;
    __m512 top = _mm512_set1_ps(HIDDEN);
    for (int n = 0; n < count; n++) {
        __m512 s = _mm512_mul_ps(_mm512_loadu_ps(scores + (ptrdiff_t)n * lanes), factor);
        if (!all_seen) s = _mm512_mask_mov_ps(_mm512_set1_ps(HIDDEN), who_sees(seen, first + n, lane), s);
        _mm512_storeu_ps(scores + (ptrdiff_t)n * lanes, s);
        top = _mm512_max_ps(top, s);
    }
    __m512 before = _mm512_loadu_ps(softmax->highest + lane), now = _mm512_max_ps(before, top);
    __m512 kept = power_of_two(_mm512_sub_ps(before, now)), sum = _mm512_setzero_ps();
    for (int n = 0; n < count; n += 2) {
        __m512 one = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + (ptrdiff_t)n * lanes), now));
        __m512 other = _mm512_setzero_ps();
        if (n + 1 < count)
            other = power_of_two(_mm512_sub_ps(_mm512_loadu_ps(scores + (ptrdiff_t)(n + 1) * lanes), now));
        sum = _mm512_add_ps(sum, _mm512_add_ps(one, other));
        _mm512_storeu_si512(softmax->weights + (ptrdiff_t)(n / 2) * lanes + lane, paired(one, other));
    }
    _mm512_storeu_ps(softmax->highest + lane, now);
    _mm512_storeu_ps(softmax->total + lane, _mm512_fmadd_ps(_mm512_loadu_ps(softmax->total + lane), kept, sum));
    return kept;
}

void pair_rows(const bf16 *one, const bf16 *other, int width, uint32_t *target) {
    for (int d = 0; d < width; d += LANES) {
        __m512i low = _mm512_setzero_si512(), high = low;
        if (one) low = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(one + d)));
        if (other) high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(other + d)));
        _mm512_storeu_si512(target + d, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
}

static void scale_rows(Softmax *softmax, int lane, __m512 kept) {
    if (_mm512_cmpneq_ps_mask(kept, _mm512_set1_ps(1.0f)) == 0) return;
    float by[LANES];
    _mm512_storeu_ps(by, kept);
    for (int n = 0; n < LANES; n++) {
        float *row = softmax->out + (ptrdiff_t)(lane + n) * softmax->width;
        for (int d = 0; d < softmax->width; d += LANES)
            _mm512_storeu_ps(row + d, _mm512_mul_ps(_mm512_loadu_ps(row + d), _mm512_set1_ps(by[n])));
    }
}

void add_rows(const uint32_t *held, const uint32_t *pairs, int count, int lanes, int width, float *out) {
    const uint32_t *rows[MOST_ROWS];
    for (int lane = 0; lane < lanes; lane += MOST_ROWS) {
        int taken = at_most(MOST_ROWS, lanes - lane);
        for (int m = 0; m < taken; m++) rows[m] = held + lane + m;
        for (int d = 0; d < width; d += PANEL)
            multiply_tile(taken, at_most(MOST_VECTORS, (width - d) / LANES), rows, lanes, pairs + d, width,
                          (count + 1) / 2, out + (ptrdiff_t)lane * width + d, width, 1);
    }
}

void attend_over(Softmax *softmax, const Seen *seen) {
    for (int first = 0; first < seen->count; first += CHUNK) {
        int count = at_most(CHUNK, seen->count - first);
        int all_seen = !seen->visible && first + count <= seen->common;
        score(softmax, seen, first, count);
        for (int lane = 0; lane < softmax->lanes; lane += LANES)
            scale_rows(softmax, lane, weigh(softmax, seen, first, count, lane, all_seen));
        for (int n = 0; n < count; n += 2)
            pair_rows(row_of(seen, seen->values, first + n),
                      n + 1 < count ? row_of(seen, seen->values, first + n + 1) : NULL, softmax->width,
                      softmax->beside + (ptrdiff_t)(n / 2) * softmax->width);
        add_rows(softmax->weights, softmax->beside, count, softmax->lanes, softmax->width, softmax->out);
    }
}
