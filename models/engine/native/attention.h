/* Attention of some queries over some keys, with the softmax taken as keys come (online softmax, Milakov and
 * Gimelshein 2018, arXiv 1805.02867).
 *
 * Queries lie side by side in the lanes of vectors and keys come one after the other, so maxima and sums need no
 * shuffling, and keys enter the products as they are stored.
 */
#ifndef APPRENTICE_ATTENTION_H
#define APPRENTICE_ATTENTION_H

#include "kernels.h"

enum { CHUNK = 128 }; /* keys of which scores are held at once */

/* Keys, values, and which lanes see which of them. */
typedef struct {
    const bf16 *keys, *values; /* rows of width values */
    ptrdiff_t step;            /* from a row to the next */
    const int32_t *index;      /* which rows, in order; NULL: the first ones */
    int count;
    /* The first `common` keys are seen by all. Of the others, lane n (row n % padded of a head) sees key common + i if
     * hidden[i * rows + row] is 0, or, where hidden is NULL, if i <= row. */
    int common, rows, padded;
    const uint8_t *hidden;
    const int32_t *visible; /* instead, by lane: how many keys it sees; NULL: as above */
} Seen;

/* What is known of each lane's softmax so far: scores are in units of log 2. */
typedef struct {
    int lanes, width; /* lanes may be set to fewer than there is memory for */
    uint32_t *query; /* [width / 2][lanes] pairs */
    float factor;          /* on scores, log2(e) included */
    float *highest, *total, *out; /* [lanes], [lanes], [lanes][width] not yet divided by total */
    float *scores;                /* scratch: [CHUNK][lanes] */
    uint32_t *weights, *beside;   /* scratch: [CHUNK / 2][lanes], [CHUNK / 2][width] */
} Softmax;

/* A softmax over nothing, with memory for it; release with free(softmax.out). */
Softmax new_softmax(int lanes, int width, float factor);
void forget_all(Softmax *softmax);
void attend_over(Softmax *softmax, const Seen *seen);

/* Word by word: query[pair][lane] = rows[lane][pair], a NULL row being zero. */
void lanes_of(const bf16 *const *rows, int lanes, int width, uint32_t *query);

/* Two rows side by side, as the products want them: (one[d], other[d]) in word d; a NULL row being zero. */
void pair_rows(const bf16 *one, const bf16 *other, int width, uint32_t *target);

/* out[lane] += the sum over keys of held[key][lane] * row[key], both held in pairs of keys: [(count + 1) / 2][lanes]
 * and [(count + 1) / 2][width]. */
void add_rows(const uint32_t *held, const uint32_t *pairs, int count, int lanes, int width, float *out);

/* Which of the 16 lanes from `lane` see key number `key`. */
__mmask16 who_sees(const Seen *seen, int key, int lane);

#endif
