/* Least squares in integers: the sums of products of features, and weights that follow them (bitstream_spec.md,
   "Wide samples").  Sums hold the lower triangle of the products of two features, row by row, then the products of
   each feature with the goal. */

enum {
    FEATURES = 35,    /* of a sample, most */
    SEGMENT = 32,     /* samples after which weights are improved */
    MOST_FEATURE = 4095,
    WEIGHT_BITS = 14,
    MOST_WEIGHT = (1 << 17) - 1,
    RIDGE = 1 << 16,
    SUMS = FEATURES * (FEATURES + 1) / 2 + FEATURES
};

/* What the samples of a segment were predicted from; the last row is the goal. */
typedef i16 Features[FEATURES + 1][SEGMENT];

static inline size_t count_sums(int n) { return (size_t)n * (n + 1) / 2 + (size_t)n; }

static inline i64 floor_quotient(i64 a, i64 b) { return a / b - (a % b < 0); }

/* Add the products of a segment to two sums, each of which forgets a part of what it holds. */
static INLINE void add_products(const Features f, int n, i64 *local, int local_shift, i64 *wide, int wide_shift) {
    for (int i = 0; i <= n; i++) {
        const i16 *a = f[i < n ? i : FEATURES];
        for (int j = 0; j < (i < n ? i + 1 : n); j++) {
            i32 sum = 0;
            for (int t = 0; t < SEGMENT; t++) sum += (i32)a[t] * f[j][t];
            *local += sum - (*local >> local_shift);
            *wide += sum - (*wide >> wide_shift);
            local++;
            wide++;
        }
    }
}

/* Improve each of n weights once, with the others as they are. */
static INLINE void improve(const i64 *sums, int n, i32 *weight) {
    i64 square[FEATURES][FEATURES];
    const i64 *s = sums;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) square[i][j] = square[j][i] = *s++;
    for (int k = 0; k < n; k++) {
        i64 ridge = (square[k][k] >> WEIGHT_BITS) + RIDGE, left = s[k] * (1 << WEIGHT_BITS) - ridge * weight[k];
        for (int j = 0; j < n; j++) left -= square[k][j] * weight[j];
        i64 w = weight[k] + floor_quotient(left, square[k][k] + ridge);
        weight[k] = (i32)(w < -MOST_WEIGHT ? -MOST_WEIGHT : w > MOST_WEIGHT ? MOST_WEIGHT : w);
    }
}

/* The sum of weights times features, in 2^-WEIGHT_BITS. */
static INLINE i64 weighted(const i32 *weight, const i32 *feature, int n) {
    i64 sum = 0;
    for (int i = 0; i < n; i++) sum += (i64)weight[i] * feature[i];
    return sum;
}
