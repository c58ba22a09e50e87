/* What adaptation computes of rows of lanes, and where its features lie; compiled once for every instruction set (see
   _front.h).  Vectors reach up to 31 lanes beyond the last one, where there is room in every row. */

/* Row k of the features of component c: those of section 6.9, the goal, and the differences of the others' values. */
static inline i16 *FOR_ISA(feature)(const Walk *w, int c, int k) {
    return w->feature[c] + (size_t)k * ((size_t)w->most + BATCH);
}

static inline i32 FOR_ISA(in_widths)(i32 v, i32 factor) { /* in 32nds of the core's width, if v counts sixteenths */
    return (clamp(8 * v, INT16_MIN, INT16_MAX) * factor + (1 << 14)) >> 15;
}

/* to[i] = table[scale[i]]. */
static inline void FOR_ISA(of_scales)(const i16 *table, const u8 *scale, i16 *to, int n) {
#if LONG_VECTORS
    const __m512i low = _mm512_loadu_si512(table), high = _mm512_loadu_si512(table + 32);
    for (int i = 0; i < n; i += 32) {
        __m512i which = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(scale + i)));
        _mm512_storeu_si512(to + i, _mm512_permutex2var_epi16(low, which, high));
    }
#else
    for (int i = 0; i < n; i++) to[i] = table[scale[i]];
#endif
}

/* sum[i] = the products of the weights and features of every sample; they fit 32 bits. */
static inline void FOR_ISA(predict)(i16 *const *rows, const i32 *weight, i32 *sum, int n) {
#if WIDE_VECTORS
    for (int i = 0; i < n; i += 16) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (int k = 0; k < FEATURES; k += 2) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(rows[k] + i));
            __m256i b = _mm256_loadu_si256((const __m256i *)(rows[k + 1] + i));
            __m256i pair = _mm256_set1_epi32((i32)((u32)weight[k + 1] << 16 | (u16)weight[k]));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), pair));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), pair));
        }
        _mm256_storeu_si256((__m256i *)(sum + i), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(sum + i + 8), _mm256_permute2x128_si256(low, high, 0x31));
    }
#else
    for (int i = 0; i < n; i++) sum[i] = 0;
    for (int k = 0; k < FEATURES; k++)
        for (int i = 0; i < n; i++) sum[i] += weight[k] * rows[k][i];
#endif
}

/* The same with NEARBY numbers of each sample in place of weights. */
static inline void FOR_ISA(multiply)(const i16 *const *rows, const i16 *const *weight, i32 *sum, int n) {
#if WIDE_VECTORS
    for (int i = 0; i < n; i += 16) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (int k = 0; k < NEARBY; k += 2) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(rows[k] + i));
            __m256i b = _mm256_loadu_si256((const __m256i *)(rows[k + 1] + i));
            __m256i u = _mm256_loadu_si256((const __m256i *)(weight[k] + i));
            __m256i v = _mm256_loadu_si256((const __m256i *)(weight[k + 1] + i));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(_mm256_unpacklo_epi16(a, b), _mm256_unpacklo_epi16(u, v)));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(_mm256_unpackhi_epi16(a, b), _mm256_unpackhi_epi16(u, v)));
        }
        _mm256_storeu_si256((__m256i *)(sum + i), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(sum + i + 8), _mm256_permute2x128_si256(low, high, 0x31));
    }
#else
    for (int i = 0; i < n; i++) sum[i] = 0;
    for (int k = 0; k < NEARBY; k++)
        for (int i = 0; i < n; i++) sum[i] += weight[k][i] * rows[k][i];
#endif
}

/* Bring a row of features to the widths of each sample's core, at most 1023 either way. */
static inline void FOR_ISA(normalise)(const i16 *from, const i16 *factor, i16 *to, int n) {
#if WIDE_VECTORS
    const __m256i most = _mm256_set1_epi16(1023), least = _mm256_set1_epi16(-1023);
    for (int i = 0; i < n; i += 16) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(from + i));
        for (int twice = 0; twice < 3; twice++) v = _mm256_adds_epi16(v, v);
        v = _mm256_mulhrs_epi16(v, _mm256_loadu_si256((const __m256i *)(factor + i)));
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_max_epi16(_mm256_min_epi16(v, most), least));
    }
#else
    for (int i = 0; i < n; i++) to[i] = (i16)clamp(FOR_ISA(in_widths)(from[i], factor[i]), -1023, 1023);
#endif
}

/* to[i] = sixteen times a value less the mean, within MOST_ERROR; 0 for what lies outside. */
static inline void FOR_ISA(relative)(const i16 *value, const i16 *mean, i16 *to, int n) {
#if WIDE_VECTORS
    const __m256i most = _mm256_set1_epi16(MOST_ERROR), least = _mm256_set1_epi16(-MOST_ERROR);
    for (int i = 0; i < n; i += 16) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(value + i));
        __m256i outside = _mm256_cmpeq_epi16(v, _mm256_set1_epi16(OUTSIDE));
        v = _mm256_sub_epi16(_mm256_slli_epi16(v, 4), _mm256_loadu_si256((const __m256i *)(mean + i)));
        v = _mm256_max_epi16(_mm256_min_epi16(v, most), least);
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_andnot_si256(outside, v));
    }
#else
    for (int i = 0; i < n; i++)
        to[i] = (i16)(value[i] == OUTSIDE ? 0 : clamp(16 * value[i] - mean[i], -MOST_ERROR, MOST_ERROR));
#endif
}

/* to[i] = sixteen times the difference of two values, within MOST_ERROR; 0 where either lies outside. */
static inline void FOR_ISA(difference)(const i16 *restrict from, const i16 *restrict take, i16 *restrict to, int n) {
#if WIDE_VECTORS
    const __m256i most = _mm256_set1_epi16(MOST_ERROR), least = _mm256_set1_epi16(-MOST_ERROR);
    const __m256i beyond = _mm256_set1_epi16(OUTSIDE);
    for (int i = 0; i < n; i += 16) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(from + i)), b = _mm256_loadu_si256((const __m256i *)(take + i));
        __m256i outside = _mm256_or_si256(_mm256_cmpeq_epi16(a, beyond), _mm256_cmpeq_epi16(b, beyond));
        __m256i d = _mm256_slli_epi16(_mm256_sub_epi16(a, b), 4);
        d = _mm256_max_epi16(_mm256_min_epi16(d, most), least);
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_andnot_si256(outside, d));
    }
#else
    for (int i = 0; i < n; i++) {
        int outside = from[i] == OUTSIDE || take[i] == OUTSIDE;
        to[i] = (i16)(outside ? 0 : clamp(16 * (from[i] - take[i]), -MOST_ERROR, MOST_ERROR));
    }
#endif
}

/* A lane's weight half from those at both sides, in equal parts. */
static inline i32 FOR_ISA(between)(i32 before, i32 own, i32 after) { return (((before + after) >> 1) + own + 1) >> 1; }

/* to[i] = between(from[i - apart], from[i], from[i + apart]), where lanes beyond the step are as its outermost ones.
   Room for them is before and behind the lanes: rows that have ended or not begun, whose weights are not needed. */
static inline void FOR_ISA(smoothen)(i16 *restrict from, i16 *restrict to, int apart, int n) {
    for (int k = 1; k <= apart; k++) {
        from[-k] = from[0];
        from[n - 1 + k] = from[n - 1];
    }
#if WIDE_VECTORS
    for (int i = 0; i < n; i += 16) {
        __m256i before = _mm256_loadu_si256((const __m256i *)(from + i - apart));
        __m256i own = _mm256_loadu_si256((const __m256i *)(from + i));
        __m256i after = _mm256_loadu_si256((const __m256i *)(from + i + apart));
        __m256i sides = _mm256_add_epi16(_mm256_and_si256(before, after),
                                         _mm256_srai_epi16(_mm256_xor_si256(before, after), 1));
        __m256i all = _mm256_sub_epi16(_mm256_or_si256(sides, own), _mm256_srai_epi16(_mm256_xor_si256(sides, own), 1));
        _mm256_storeu_si256((__m256i *)(to + i), all);
    }
#else
    for (int i = 0; i < n; i++) to[i] = (i16)FOR_ISA(between)(from[i - apart], from[i], from[i + apart]);
#endif
}
