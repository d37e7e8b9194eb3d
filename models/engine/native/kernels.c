#include "kernels.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*Tile)(const uint32_t *const *, ptrdiff_t, const uint32_t *, ptrdiff_t, int, float *, ptrdiff_t, int);

static inline __attribute__((always_inline)) void tile(const int rows, const int vectors, const uint32_t *const *a,
                                                       ptrdiff_t a_step, const uint32_t *b, ptrdiff_t b_step,
                                                       int pairs, float *c, ptrdiff_t c_row, int add) {
    __m512 sum[MOST_ROWS][MOST_VECTORS];
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++)
            sum[m][v] = add ? _mm512_loadu_ps(c + m * c_row + v * LANES) : _mm512_setzero_ps();
    for (int k = 0; k < pairs; k++) {
        __m512i right[MOST_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) right[v] = _mm512_loadu_si512(b + k * b_step + v * LANES);
#pragma GCC unroll 6
        for (int m = 0; m < rows; m++) {
            __m512i left = _mm512_set1_epi32((int)a[m][k * a_step]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++)
                sum[m][v] = _mm512_dpbf16_ps(sum[m][v], (__m512bh)left, (__m512bh)right[v]);
        }
    }
#pragma GCC unroll 6
    for (int m = 0; m < rows; m++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) _mm512_storeu_ps(c + m * c_row + v * LANES, sum[m][v]);
}

#define TILE(rows, vectors)                                                                                          \
    static void tile_##rows##_##vectors(const uint32_t *const *a, ptrdiff_t a_step, const uint32_t *b,               \
                                        ptrdiff_t b_step, int pairs, float *c, ptrdiff_t c_row, int add) {           \
        tile(rows, vectors, a, a_step, b, b_step, pairs, c, c_row, add);                                             \
    }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3) TILE(rows, 4)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#define ROW(rows) {tile_##rows##_1, tile_##rows##_2, tile_##rows##_3, tile_##rows##_4}
static const Tile tiles[MOST_ROWS][MOST_VECTORS] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6)};

void multiply_tile(int rows, int vectors, const uint32_t *const *a, ptrdiff_t a_step, const uint32_t *b,
                   ptrdiff_t b_step, int pairs, float *c, ptrdiff_t c_row, int add) {
    tiles[rows - 1][vectors - 1](a, a_step, b, b_step, pairs, c, c_row, add);
}

void *scratch(size_t bytes) {
    void *found = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!found) {
        fprintf(stderr, "apprentice: no memory for %zu bytes of attention; lower the batch or max_length\n", bytes);
        abort();
    }
    return found;
}

struct Team {
    int size;
    atomic_int arrived, rounds, task;
    Work work;
    void *job;
};

typedef struct {
    Team *team;
    int member;
} Member;

int members(const Team *team) { return team->size; }

void meet(Team *team) {
    int round = atomic_load(&team->rounds);
    if (atomic_fetch_add(&team->arrived, 1) + 1 == team->size) {
        atomic_store(&team->arrived, 0);
        atomic_store(&team->rounds, round + 1);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&team->rounds, memory_order_acquire) == round; spins++) {
        if (spins < 4000)
            _mm_pause();
        else
            sched_yield(); /* somebody else wants this core */
    }
}

int next_task(Team *team) { return atomic_fetch_add(&team->task, 1); }

void restart(Team *team) { atomic_store(&team->task, 0); }

static void *join_in(void *given) {
    Member *me = given;
    me->team->work(me->team, me->member, me->team->job);
    return NULL;
}

void together(int threads, Work work, void *job) {
    enum { MOST = 256 };
    threads = at_most(threads < 1 ? 1 : threads, MOST);
    Team team = {.size = threads, .work = work, .job = job};
    pthread_t others[MOST];
    Member who[MOST];
    for (int n = 1; n < threads; n++) {
        who[n] = (Member){&team, n};
        if (pthread_create(&others[n], NULL, join_in, &who[n])) {
            fprintf(stderr, "apprentice: the system refuses thread %d of %d\n", n + 1, threads);
            abort(); /* the others wait for it */
        }
    }
    work(&team, 0, job);
    for (int n = 1; n < threads; n++) pthread_join(others[n], NULL);
}
