/* Adaptation: what a plane's own errors teach, compiled once for every instruction set (see _front.h).

   bitstream_spec.md, section 6.9.  The network's mean is corrected by a linear prediction of its error, whose weights
   follow the plane by least squares; the scale index is shifted by what would have coded better so far.  Samples of
   one step see the same weights and shifts; what they teach comes after the step.  Copies and stored samples teach
   nothing: their lanes are computed all the same, and then their features are 0. */

/* Row k of an array with a row of lanes for each k. */
static inline i16 *FOR_ISA(row)(const Walk *w, i16 *rows, int k) { return rows + (size_t)k * ((size_t)w->most + BATCH); }

/* Feature k of component c, or the goal behind them: of the samples that have not been summed up yet, and behind
   those of the step's. */
static inline i16 *FOR_ISA(feature)(const Walk *w, int c, int k) {
    return w->feature[c] + (size_t)k * ((size_t)w->most + PERIOD + BATCH);
}

static inline i32 FOR_ISA(in_widths)(i32 v, i32 factor) { /* in 32nds of the core's width, if v counts sixteenths */
    return (clamp(8 * v, INT16_MIN, INT16_MAX) * factor + (1 << 14)) >> 15;
}

/* The energy of the errors around each lane. */
static void FOR_ISA(look_around)(Walk *w, int n) {
    for (int c = 0; c < w->plane->components; c++) {
        i16 *energy = w->energy[c];
        memset(energy, 0, (size_t)n * sizeof(i16));
        for (int j = 0; j < CLOSE; j++) {
            const i16 *left = lane_row(w, w->left[c], w->step + CLOSE_X[j] + 2 * CLOSE_Y[j], w->top + CLOSE_Y[j]);
            i16 weight = ENERGY_WEIGHT[j];
            for (int i = 0; i < n; i++) energy[i] = (i16)(energy[i] + weight * (left[i] < 0 ? -left[i] : left[i]));
        }
    }
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

/* A mean, corrected by a sum of weighted features of a sample whose scale has this WIDTH; `least`: the least mean. */
static inline i32 FOR_ISA(corrected)(i32 mean, i32 sum, i32 scale, i32 width, i32 least) {
    i32 bits = 17 - ((scale < 6 ? 6 : scale) >> 2);
    i32 correction = clamp((sum + (1 << 8)) >> 9, INT16_MIN, INT16_MAX) * width;
    correction = clamp((correction + (1 << (bits - 1))) >> bits, -1024, 1024);
    return clamp(mean + correction, least, 16 * 255);
}

/* The means and shapes that component c of the step's samples is coded with. */
static void FOR_ISA(adapt)(Walk *w, int c, int n) {
    Adaptive *state = w->adaptive;
    i16 *restrict mean = w->lane_mean[c], *restrict coded = w->lane_coded[c], *restrict factor = w->factor[c];
    i16 *restrict width = w->width, *own[FEATURES];
    u8 *restrict scale = w->lane_scale[c], *restrict level = w->level[c];
    i32 *restrict sum = w->sum, *restrict coded_mean = w->coded_mean[c];
    u32 *restrict coded_choice = w->coded_choice[c];
    const i32 *restrict plain_mean = w->mean[c];
    const u32 *restrict choice = w->choice[c];
    for (int k = 0; k < FEATURES; k++) own[k] = FOR_ISA(feature)(w, c, k) + w->waiting;
    for (int i = 0; i < n; i++) {
        mean[i] = (i16)plain_mean[i];
        scale[i] = (u8)(choice[i] / (FRACTIONS * TAILS));
    }
    FOR_ISA(of_scales)(FEATURE_FACTOR, scale, factor, n);
    FOR_ISA(of_scales)(WIDTH, scale, width, n);
    for (int j = 0; j < CLOSE; j++) {
        i32 step = w->step + CLOSE_X[j] + 2 * CLOSE_Y[j], y = w->top + CLOSE_Y[j];
        for (int d = 0; d < 3; d++) FOR_ISA(normalise)(lane_row(w, w->error[d], step, y), factor, own[3 * j + d], n);
        i16 *beside = own[3 * CLOSE + FAR + j];
        FOR_ISA(relative)(lane_row(w, w->known[c], step, y), mean, beside, n);
        FOR_ISA(normalise)(beside, factor, beside, n);
    }
    for (int j = 0; j < FAR; j++)
        FOR_ISA(normalise)(lane_row(w, w->error[c], w->step + FAR_X[j] + 2 * FAR_Y[j], w->top + FAR_Y[j]), factor,
                           own[3 * CLOSE + j], n);
    for (int d = 0; d < 2; d++) {
        i16 *told = own[4 * CLOSE + FAR + d];
        if (d < c) FOR_ISA(normalise)(lane_row(w, w->error[d], w->step, w->top), factor, told, n);
        else memset(told, 0, (size_t)n * sizeof(i16));
    }
    for (int i = 0; i < n; i++) own[FEATURES - 1][i] = 16;
    FOR_ISA(normalise)(own[FEATURES - 1], factor, own[FEATURES - 1], n);
    FOR_ISA(predict)(own, state->weight[c], sum, n);
    i32 least = 16 * (c ? -255 : 0);
    for (int i = 0; i < n; i++) coded[i] = (i16)FOR_ISA(corrected)(mean[i], sum[i], scale[i], width[i], least);
    const i16 *restrict energy = w->energy[c];
    if (c) {
        const i16 *restrict left = lane_row(w, w->left[c - 1], w->step, w->top);
        for (int i = 0; i < n; i++) sum[i] = (5 * energy[i] >> 3) + 3 * (left[i] < 0 ? -left[i] : left[i]);
    } else {
        for (int i = 0; i < n; i++) sum[i] = energy[i];
    }
    for (int i = 0; i < n; i++) {
        i32 around = sum[i] * factor[i] >> 15, number = 0;
        for (int edge = 0; edge < LEVELS - 1; edge++) number += around >= LEVEL_EDGE[edge];
        level[i] = (u8)number;
    }
    for (int i = 0; i < n; i++) sum[i] = state->shift[c][scale[i]][level[i]].scale;
    for (int i = 0; i < n; i++) {
        i32 tail = (i32)(choice[i] / FRACTIONS % TAILS);
        i32 shifted = clamp(scale[i] + ((sum[i] + (1 << 15)) >> 16), 0, SCALES - 1);
        coded_mean[i] = coded[i];
        coded_choice[i] = (u32)((coded[i] & 15) + FRACTIONS * (tail + TAILS * shifted));
    }
}

/* Component c of the step's samples is known: note its errors. */
static void FOR_ISA(note)(Walk *w, int c, int n) {
    const Plane *p = w->plane;
    const i32 *restrict value = w->value[c];
    const i16 *restrict mean = w->lane_mean[c], *restrict coded = w->lane_coded[c];
    i16 *restrict error = lane_row(w, w->error[c], w->step, w->top);
    i16 *restrict left = lane_row(w, w->left[c], w->step, w->top);
    i16 *restrict known = lane_row(w, w->known[c], w->step, w->top);
    for (int i = 0; i < n; i++) {
        known[i] = (i16)value[i];
        error[i] = (i16)clamp(16 * value[i] - mean[i], -MOST_ERROR, MOST_ERROR);
        left[i] = (i16)clamp(16 * value[i] - coded[i], -MOST_ERROR, MOST_ERROR);
    }
    for (int i = 0; i < n && w->inactive; i++)
        if (!w->active[i]) error[i] = left[i] = 0;
    /* Beyond the last sample there are no errors. */
    if (w->step - 2 * w->top != p->width - 1) return;
    for (i32 k = 1; k <= 2; k++) {
        *lane_row(w, w->error[c], w->step + k, w->top) = *lane_row(w, w->left[c], w->step + k, w->top) = 0;
        *lane_row(w, w->known[c], w->step + k, w->top) = OUTSIDE;
    }
}

/* What a sample's table got wrong, in sixteenths of its quanta, where these are wider than 1. */
static inline i32 FOR_ISA(missed)(const Walk *w, int c, int i) {
    i32 mean = w->coded_mean[c][i], value = w->value[c][i], error = w->plane->max_error;
    i32 carry = w->bank->choice[w->coded_choice[c][i]].carry;
    return 16 * (floor_div(value - (mean >> 4) - carry + error, 2 * error + 1) + carry) - (mean & 15);
}

/* Move the shifts of the active samples' contexts towards what would have coded them better. */
static void FOR_ISA(learn_shifts)(Walk *w, int c, int n) {
    const i32 *restrict value = w->value[c];
    const i16 *restrict coded = w->lane_coded[c], *slopes = w->bank->slope[0];
    const u32 *restrict choice = w->coded_choice[c];
    const u8 *restrict scale = w->lane_scale[c], *restrict level = w->level[c];
    i32 *restrict at = w->sum;
    Shift(*shifts)[LEVELS] = w->adaptive->shift[c];
    for (int i = 0; i < n; i++) at[i] = 16 * value[i] - coded[i];
    for (int i = 0; i < n && w->plane->max_error; i++) at[i] = FOR_ISA(missed)(w, c, i);
    for (int i = 0; i < n; i++) {
        i32 shape = (i32)(choice[i] / FRACTIONS), place = 4 * (at[i] < 0 ? -at[i] : at[i]) >> (shape / TAILS >> 2);
        at[i] = SLOPES * shape + (place < SLOPES ? place : SLOPES - 1);
    }
    for (int i = 0; i < n; i++) {
        if (!w->active[i]) continue;
        Shift *shift = &shifts[scale[i]][level[i]];
        int slower = (shift->seen >= 8) + (shift->seen >= 256);
        shift->seen += shift->seen < 256;
        shift->scale = clamp(shift->scale - (slopes[at[i]] >> slower), -(8 << 16), 8 << 16);
    }
}

/* Solve for the weights by one sweep of coordinate descent, then forget a 64th. */
static void FOR_ISA(solve)(Adaptive *state, int c) {
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
static void FOR_ISA(correlate)(const Walk *w, int c, int at, int m, i64 (*products)[FEATURES]) {
#if LONG_VECTORS
    for (int k = 0; k <= FEATURES; k += 4) { /* three spare rows are last */
        for (int j = 0; j < FEATURES && j <= k + 3; j += 4) {
            __m512i sum[4][4];
            const i16 *f[4], *g[4];
            for (int e = 0; e < 4; e++) {
                f[e] = FOR_ISA(feature)(w, c, k + e) + at;
                g[e] = FOR_ISA(feature)(w, c, j + e) + at;
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
        const i16 *f0 = FOR_ISA(feature)(w, c, k) + at, *f1 = FOR_ISA(feature)(w, c, k + 1) + at;
        for (int j = 0; j < FEATURES && j <= k + 1; j += 4) {
            __m256i sum[8];
            const i16 *g[4];
            for (int e = 0; e < 4; e++) g[e] = FOR_ISA(feature)(w, c, j + e) + at;
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
        const i16 *f = FOR_ISA(feature)(w, c, k) + at;
        for (int j = 0; j < FEATURES && j <= k; j++) {
            const i16 *g = FOR_ISA(feature)(w, c, j) + at;
            i32 sum = 0;
            for (int i = 0; i < m; i++) sum += f[i] * g[i];
            products[k][j] += sum;
        }
    }
#endif
}

/* Learn from the step's samples in all components. */
static void FOR_ISA(learn)(Walk *w, int n) {
    const Plane *p = w->plane;
    for (int c = 0; c < p->components; c++) {
        i16 *restrict goal = FOR_ISA(feature)(w, c, FEATURES) + w->waiting;
        const i32 *restrict value = w->value[c];
        const i16 *restrict mean = w->lane_mean[c], *restrict coded = w->lane_coded[c], *restrict factor = w->factor[c];
        for (int i = 0; i < n; i++) {
            i32 left = clamp(FOR_ISA(in_widths)(16 * value[i] - coded[i], factor[i]), -96, 96);
            goal[i] = (i16)clamp(FOR_ISA(in_widths)(coded[i] - mean[i], factor[i]) + left, -1023, 1023);
        }
        for (int i = 0; i < n && w->inactive; i++)
            for (int k = 0; k <= FEATURES && !w->active[i]; k++) FOR_ISA(feature)(w, c, k)[w->waiting + i] = 0;
        FOR_ISA(learn_shifts)(w, c, n);
    }
    w->waiting += n;
    w->taught += n - w->inactive;
    int complete = w->taught >= PERIOD;
    if (w->waiting < PERIOD && !complete) return;
    n = w->waiting;
    w->waiting = 0;
    if (complete) w->taught = 0;
    for (int c = 0; c < p->components; c++) {
        for (int k = 0; k <= FEATURES; k++) memset(FOR_ISA(feature)(w, c, k) + n, 0, 32 * sizeof(i16));
        for (int at = 0; at < n; at += PERIOD)
            FOR_ISA(correlate)(w, c, at, n - at < PERIOD ? n - at : PERIOD, w->adaptive->products[c]);
        if (complete) FOR_ISA(solve)(w->adaptive, c);
    }
}
