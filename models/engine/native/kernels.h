/* What the attention and the decoding step have in common: bf16 products in registers, exponentials, threads.
 *
 * Needs AVX-512 with its bf16 extension (VDPBF16PS): a product takes pairs of bf16 along the summed dimension and adds
 * in float32. Throughout, a "pair" is two neighbouring bf16 in one 32-bit word, and a "lane" one of the 16 words of a
 * vector.
 */
#ifndef APPRENTICE_KERNELS_H
#define APPRENTICE_KERNELS_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef uint16_t bf16;

enum { LANES = 16, MOST_ROWS = 6, MOST_VECTORS = 4, PANEL = LANES * MOST_VECTORS };

#define LOG2E 1.4426950408889634f
#define LN2 0.6931471805599453f
/* A score below every other: finite, so that differences of two of them are no NaN. */
#define NOTHING (-1e30f)

static inline int at_most(int a, int b) { return a < b ? a : b; }
static inline int up_to(int value, int step) { return (value + step - 1) / step * step; }

static inline __m512 from_bf16(const bf16 *source) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)source));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline void to_bf16(bf16 *target, __m512 value) {
    _mm256_storeu_si256((__m256i *)target, (__m256i)_mm512_cvtneps_pbh(value));
}

/* Pairs of two vectors' values: (first[i], second[i]) in word i. */
static inline __m512i paired(__m512 first, __m512 second) {
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(first));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(second));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

/* 2 to the power of x, relative error below 2e-7 (Taylor's terms to the sixth on [-1/2, 1/2]); 2^-126 and below is
 * 2^-126, which no sum of probabilities notices. */
static inline __m512 power_of_two(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-126.0f));
    __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 rest = _mm512_sub_ps(x, whole);
    __m512 y = _mm512_set1_ps(1.5403530e-4f);
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(1.3333558e-3f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(9.6181291e-3f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(5.5504109e-2f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(2.4022651e-1f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(6.9314718e-1f));
    y = _mm512_fmadd_ps(y, rest, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(y, whole);
}

/* c[m][n] = (or +=) sum over pairs of a[m] . b[.][n], for up to MOST_ROWS rows and MOST_VECTORS vectors of columns.
 *
 * a: a pointer to each row's first pair; the next pair is a_step words on.
 * b: the first pair of 16 columns; the next vector follows at once, the next pair is b_step words on.
 */
void multiply_tile(int rows, int vectors, const uint32_t *const *a, ptrdiff_t a_step, const uint32_t *b,
                   ptrdiff_t b_step, int pairs, float *c, ptrdiff_t c_row, int add);

/* Scratch memory, aligned for vectors; ends the process where there is none, as nothing could be computed. */
void *scratch(size_t bytes);

/* Threads that do one piece of work together. */
typedef struct Team Team;
typedef void (*Work)(Team *team, int member, void *job);

/* Run work in this and threads - 1 other threads; returns when all are done. */
void together(int threads, Work work, void *job);
int members(const Team *team);
/* Wait until every member is here. Spins, since the next piece of work is microseconds away, then yields. */
void meet(Team *team);
/* The next task's number, each given to one member; counting starts anew at restart, called by one between two meets. */
int next_task(Team *team);
void restart(Team *team);

#endif
