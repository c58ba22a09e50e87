/* The least squares of adaptation (bitstream_spec.md, section 6.9), compiled once for every instruction set (see
   _front.h): features wait until enough samples of a parity have taught, are summed up, and weights solved for. */

/* Row k of the features that wait to be summed up, the goal behind them. */
static inline i16 *FOR_ISA(lesson)(const Walk *w, int parity, int c, int k) {
    return w->lesson[parity][c] + (size_t)k * ((size_t)w->most + PERIOD + BATCH);
}

/* Solve for the weights by one sweep of coordinate descent, then forget a 64th. */
static void FOR_ISA(solve)(Parity *state, int c) {
    i64(*a)[FEATURES] = state->products[c], *b = state->products[c][FEATURES];
    i32 *weight = state->weight[c];
    for (int k = 0; k < FEATURES; k++) {
        i64 ridge = (a[k][k] >> 10) + RIDGE, left = b[k] * (1 << 14) - ridge * weight[k];
        for (int j = 0; j < FEATURES; j++) left -= (j < k ? a[k][j] : a[j][k]) * weight[j];
        i64 whole = a[k][k] + ridge, step = left / whole;
        step -= left % whole < 0;
        i64 moved = weight[k] + step;
        weight[k] = (i32)(moved < -INT16_MAX ? -INT16_MAX : moved > INT16_MAX ? INT16_MAX : moved);
    }
    for (int k = 0; k <= FEATURES; k++)
        for (int j = 0; j < FEATURES; j++) a[k][j] -= a[k][j] >> 6;
}

/* Add the products of all pairs of rows, the features and the goal behind them, over m <= 512 samples from `at` on.
   Sums of 512 products below 2^20 fit 32 bits.  The rows are padded with zeros to a multiple of 32 samples. */
static void FOR_ISA(correlate)(const Walk *w, int parity, int c, int at, int m, i64 (*products)[FEATURES]) {
#if LONG_VECTORS
    for (int k = 0; k <= FEATURES; k += 4) { /* three spare rows are last */
        for (int j = 0; j < FEATURES && j <= k + 3; j += 4) {
            __m512i sum[4][4];
            const i16 *f[4], *g[4];
            for (int e = 0; e < 4; e++) {
                f[e] = FOR_ISA(lesson)(w, parity, c, k + e) + at;
                g[e] = FOR_ISA(lesson)(w, parity, c, j + e) + at;
                for (int h = 0; h < 4; h++) sum[e][h] = _mm512_setzero_si512();
            }
            for (int i = 0; i < m; i += 32) {
                __m512i other[4];
                for (int h = 0; h < 4; h++) other[h] = _mm512_loadu_si512(g[h] + i);
                for (int e = 0; e < 4; e++) {
                    __m512i own = _mm512_loadu_si512(f[e] + i);
                    for (int h = 0; h < 4; h++) sum[e][h] = _mm512_dpwssd_epi32(sum[e][h], own, other[h]);
                }
            }
            for (int e = 0; e < 4 && k + e <= FEATURES; e++) {
                __m256i half[4];
                for (int h = 0; h < 4; h++)
                    half[h] = _mm256_add_epi32(_mm512_castsi512_si256(sum[e][h]), _mm512_extracti64x4_epi64(sum[e][h], 1));
                __m256i two = _mm256_hadd_epi32(_mm256_hadd_epi32(half[0], half[1]), _mm256_hadd_epi32(half[2], half[3]));
                __m128i four = _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
                __m256i *to = (__m256i *)&products[k + e][j];
                _mm256_storeu_si256(to, _mm256_add_epi64(_mm256_loadu_si256(to), _mm256_cvtepi32_epi64(four)));
            }
        }
    }
#elif WIDE_VECTORS
    for (int k = 0; k <= FEATURES; k += 2) { /* a spare row is last */
        const i16 *f0 = FOR_ISA(lesson)(w, parity, c, k) + at, *f1 = FOR_ISA(lesson)(w, parity, c, k + 1) + at;
        for (int j = 0; j < FEATURES && j <= k + 1; j += 4) {
            __m256i sum[8];
            const i16 *g[4];
            for (int e = 0; e < 4; e++) g[e] = FOR_ISA(lesson)(w, parity, c, j + e) + at;
            for (int e = 0; e < 8; e++) sum[e] = _mm256_setzero_si256();
            for (int i = 0; i < m; i += 16) {
                __m256i a = _mm256_loadu_si256((const __m256i *)(f0 + i)), b = _mm256_loadu_si256((const __m256i *)(f1 + i));
                for (int e = 0; e < 4; e++) {
                    __m256i other = _mm256_loadu_si256((const __m256i *)(g[e] + i));
                    sum[e] = _mm256_add_epi32(sum[e], _mm256_madd_epi16(a, other));
                    sum[4 + e] = _mm256_add_epi32(sum[4 + e], _mm256_madd_epi16(b, other));
                }
            }
            for (int h = 0; h < 2 && k + h <= FEATURES; h++) {
                __m256i two = _mm256_hadd_epi32(_mm256_hadd_epi32(sum[4 * h], sum[4 * h + 1]),
                                                _mm256_hadd_epi32(sum[4 * h + 2], sum[4 * h + 3]));
                __m128i four = _mm_add_epi32(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
                __m256i wide = _mm256_cvtepi32_epi64(four), *to = (__m256i *)&products[k + h][j];
                _mm256_storeu_si256(to, _mm256_add_epi64(_mm256_loadu_si256(to), wide));
            }
        }
    }
#else
    for (int k = 0; k <= FEATURES; k++) {
        const i16 *f = FOR_ISA(lesson)(w, parity, c, k) + at;
        for (int j = 0; j < FEATURES && j <= k; j++) {
            const i16 *g = FOR_ISA(lesson)(w, parity, c, j) + at;
            i32 sum = 0;
            for (int i = 0; i < m; i++) sum += f[i] * g[i];
            products[k][j] += sum;
        }
    }
#endif
}

/* Let the features of the lanes of one parity, every `apart`th from `first` on, wait to be summed up. */
static void FOR_ISA(prepare_lessons)(Walk *w, int parity, int first, int apart, int n) {
    Parity *state = w->adaptive->parity + parity;
    int count = first < n ? (n - first + apart - 1) / apart : 0;
    for (int c = 0; c < w->plane->components; c++) {
        for (int k = 0; k <= FEATURES; k++) {
            const i16 *restrict from = FOR_ISA(feature)(w, c, k) + first;
            i16 *restrict to = FOR_ISA(lesson)(w, parity, c, k) + state->waiting;
            if (apart == 1) memcpy(to, from, (size_t)count * sizeof(i16));
            else for (int i = 0; i < count; i++) to[i] = from[2 * i];
        }
    }
    state->waiting += count;
    for (int i = first; i < n; i += apart) state->taught += w->active[i];
    int complete = state->taught >= PERIOD;
    if (state->waiting < PERIOD && !complete) return;
    int waiting = state->waiting;
    state->waiting = 0;
    if (complete) state->taught = 0;
    for (int c = 0; c < w->plane->components; c++) {
        for (int k = 0; k <= FEATURES; k++) memset(FOR_ISA(lesson)(w, parity, c, k) + waiting, 0, 32 * sizeof(i16));
        for (int at = 0; at < waiting; at += TOGETHER_SUMMED)
            FOR_ISA(correlate)(w, parity, c, at, waiting - at < TOGETHER_SUMMED ? waiting - at : TOGETHER_SUMMED,
                               state->products[c]);
        if (complete) FOR_ISA(solve)(state, c);
    }
}
