/* Adaptation: what a plane's own errors teach, compiled once for every instruction set (see _front.h).

   bitstream_spec.md, section 6.9.  The network's mean is corrected by a linear prediction of its error, whose weights
   follow the plane, or each parity of it, by least squares.  A second prediction starts from there, with weights that
   follow their row and those around it.  The two means are blended by what each missed close by.  The scale index is
   shifted by what would have coded better so far.  Samples of one step see the same state; what they teach comes after
   the step.  Copies and stored samples teach nothing: their lanes are computed all the same, and then their features
   are 0. */

/* Row k of the features of component c: those of section 6.9, the goal, and the differences of the others' values. */
static inline i16 *FOR_ISA(feature)(const Walk *w, int c, int k) {
    return w->feature[c] + (size_t)k * ((size_t)w->most + BATCH);
}

/* Row k of the features that wait to be summed up, the goal behind them. */
static inline i16 *FOR_ISA(lesson)(const Walk *w, int parity, int c, int k) {
    return w->lesson[parity][c] + (size_t)k * ((size_t)w->most + PERIOD + BATCH);
}

/* Weight k of the rows, of the prediction that follows its row; from the row of the step's first lane on. */
static inline i16 *FOR_ISA(row_weight)(const Walk *w, int c, int k) {
    return w->row_weight[c] + (size_t)k * w->rows + (size_t)(w->top - w->first_row + REACH_Y);
}

/* Make room for the weights of the step's rows. */
static void FOR_ISA(move_rows)(Walk *w, int n) {
    i32 moved = w->top - w->first_row;
    if ((size_t)moved + (size_t)w->most + REACH_Y + BATCH <= w->rows) return;
    for (int c = 0; c < w->plane->components; c++) {
        for (int k = 0; k < NEARBY; k++) {
            i16 *row = w->row_weight[c] + (size_t)k * w->rows;
            memmove(row, row + moved, (size_t)(n + REACH_Y) * sizeof(i16));
        }
    }
    w->first_row = w->top;
}

/* The features that the prediction uses which follows its row. */
static inline void FOR_ISA(nearby)(const Walk *w, int c, const i16 **rows) {
    int k = 0;
    for (int j = 0; j < 9; j++) rows[k++] = FOR_ISA(feature)(w, c, j);
    for (int j = 3; j < CLOSE; j++) rows[k++] = FOR_ISA(feature)(w, c, 3 * j + c);
    for (int j = 0; j < 3; j++) rows[k++] = FOR_ISA(feature)(w, c, 3 * CLOSE + j);
    for (int j = 3 * CLOSE + FAR; j < FEATURES; j++) rows[k++] = FOR_ISA(feature)(w, c, j);
    for (int j = 0; j < OTHERS; j++) rows[k++] = FOR_ISA(feature)(w, c, FEATURES + 1 + j);
}

static inline i32 FOR_ISA(in_widths)(i32 v, i32 factor) { /* in 32nds of the core's width, if v counts sixteenths */
    return (clamp(8 * v, INT16_MIN, INT16_MAX) * factor + (1 << 14)) >> 15;
}

/* The energy of the errors around each lane.  A row that begins takes over the weights of the one above. */
static void FOR_ISA(look_around)(Walk *w, int n) {
    FOR_ISA(move_rows)(w, n);
    int begins = n && w->top + n > 1 && w->step == 2 * (w->top + n - 1);
    for (int c = 0; c < w->plane->components; c++) {
        for (int k = 0; k < NEARBY && begins; k++) {
            i16 *weight = FOR_ISA(row_weight)(w, c, k) + n - 1;
            weight[0] = weight[-1];
        }
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

/* The same with weights of each lane. */
static inline void FOR_ISA(predict_nearby)(const i16 *const *rows, const i16 *const *weight, i32 *sum, int n) {
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

/* sum[i] = the squares of the features of every sample; they fit 32 bits. */
static inline void FOR_ISA(add_squares)(const i16 *const *rows, i32 *sum, int n) {
#if WIDE_VECTORS
    for (int i = 0; i < n; i += 16) {
        __m256i low = _mm256_setzero_si256(), high = low;
        for (int k = 0; k < NEARBY; k += 2) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(rows[k] + i));
            __m256i b = _mm256_loadu_si256((const __m256i *)(rows[k + 1] + i));
            __m256i both = _mm256_unpacklo_epi16(a, b), rest = _mm256_unpackhi_epi16(a, b);
            low = _mm256_add_epi32(low, _mm256_madd_epi16(both, both));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(rest, rest));
        }
        _mm256_storeu_si256((__m256i *)(sum + i), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(sum + i + 8), _mm256_permute2x128_si256(low, high, 0x31));
    }
#else
    for (int i = 0; i < n; i++) sum[i] = 0;
    for (int k = 0; k < NEARBY; k++)
        for (int i = 0; i < n; i++) sum[i] += rows[k][i] * rows[k][i];
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

/* How the other components' values differ: those of this place, which are known, or those around it. */
static void FOR_ISA(compare_others)(Walk *w, int c, int n) {
    i32 step = w->step, top = w->top;
    int k = FEATURES + 1;
    for (int d = 0; d < 3 && w->plane->components > 1; d++) {
        if (d == c) continue;
        const i16 *here = lane_row(w, w->known[d], step, top), *west = lane_row(w, w->known[d], step - 1, top);
        const i16 *north = lane_row(w, w->known[d], step - 2, top - 1);
        const i16 *north_west = lane_row(w, w->known[d], step - 3, top - 1);
        const i16 *north_east = lane_row(w, w->known[d], step - 1, top - 1);
        const i16 *earlier[4][2] = {{here, west}, {here, north}, {here, north_west}, {here, north_east}};
        const i16 *later[4][2] = {{west, north_west}, {north, north_west}, {north, north_east}, {north, north}};
        for (int j = 0; j < 4; j++) {
            const i16 *const *pair = d < c ? earlier[j] : later[j];
            i16 *to = FOR_ISA(feature)(w, c, k++);
            FOR_ISA(difference)(pair[0], pair[1], to, n);
            FOR_ISA(normalise)(to, w->factor[c], to, n);
        }
    }
}

/* A mean, corrected by a sum of weighted features of a sample whose scale has this WIDTH; `least`: the least mean. */
static inline i32 FOR_ISA(corrected)(i32 mean, i32 sum, i32 scale, i32 width, i32 least) {
    i32 bits = 17 - ((scale < 6 ? 6 : scale) >> 2);
    i32 correction = clamp((sum + (1 << 8)) >> 9, INT16_MIN, INT16_MAX) * width;
    correction = clamp((correction + (1 << (bits - 1))) >> bits, -1024, 1024);
    return clamp(mean + correction, least, 16 * 255);
}

/* From `mean` and the sums of weighted features, corrected means. */
static inline void FOR_ISA(correct)(const Walk *w, int c, const i16 *restrict mean, i16 *restrict to, int n) {
    const i32 *restrict sum = w->sum, least = 16 * (c ? -255 : 0);
    const u8 *restrict scale = w->lane_scale[c];
    const i16 *restrict width = w->width;
    for (int i = 0; i < n; i++) to[i] = (i16)FOR_ISA(corrected)(mean[i], sum[i], scale[i], width[i], least);
}

/* The mean by the weights of the lanes' parities. */
static void FOR_ISA(correct_widely)(Walk *w, int c, i16 *const *rows, int n) {
    const Parity *parity = w->adaptive->parity + (w->plane->by_parity ? 2 * (w->step & 1) : 0);
    i32 *sum = w->sum;
    FOR_ISA(predict)(rows, parity[0].weight[c], sum, n);
    if (w->plane->by_parity) {
        i32 *odd = w->around[0];
        FOR_ISA(predict)(rows, parity[1].weight[c], odd, n);
        for (int i = ~w->top & 1; i < n; i += 2) sum[i] = odd[i];
    }
    FOR_ISA(correct)(w, c, w->lane_mean[c], w->lane_wide[c], n);
}

/* The mean by the weights of the lanes' rows. */
static void FOR_ISA(correct_nearby)(Walk *w, int c, int n) {
    const i16 *rows[NEARBY], *weight[NEARBY];
    FOR_ISA(nearby)(w, c, rows);
    for (int k = 0; k < NEARBY; k++) weight[k] = FOR_ISA(row_weight)(w, c, k);
    FOR_ISA(predict_nearby)(rows, weight, w->sum, n);
    FOR_ISA(correct)(w, c, w->lane_wide[c], w->lane_near[c], n);
}

/* Blend the two means: each weighs what the other one missed close by. */
static void FOR_ISA(blend_means)(Walk *w, int c, int n) {
    for (int which = 0; which < 2; which++) {
        i16 *ring = w->missed[which][c];
        const i16 *restrict west = lane_row(w, ring, w->step - 1, w->top);
        const i16 *restrict north = lane_row(w, ring, w->step - 2, w->top - 1);
        const i16 *restrict north_west = lane_row(w, ring, w->step - 3, w->top - 1);
        const i16 *restrict north_east = lane_row(w, ring, w->step - 1, w->top - 1);
        i32 *around = w->around[which];
        for (int i = 0; i < n; i++) around[i] = 2 * (west[i] + north[i]) + north_west[i] + north_east[i] + 1;
    }
    const i16 *restrict wide = w->lane_wide[c], *restrict near = w->lane_near[c];
    const i32 *by_wide = w->around[0], *by_near = w->around[1];
    i16 *restrict coded = w->lane_coded[c];
    const i32 above = 1 << 12; /* makes means positive */
    for (int i = 0; i < n; i++) {
        u32 all = (u32)(by_wide[i] + by_near[i]);
        u32 both = (u32)(wide[i] + above) * (u32)by_near[i] + (u32)(near[i] + above) * (u32)by_wide[i];
        coded[i] = (i16)((i32)((both + (all >> 1)) / all) - above);
    }
}

/* The means and shapes that component c of the step's samples is coded with. */
static void FOR_ISA(adapt)(Walk *w, int c, int n) {
    Adaptive *state = w->adaptive;
    i16 *mean = w->lane_mean[c], *coded = w->lane_coded[c], *factor = w->factor[c], *width = w->width, *own[FEATURES];
    u8 *scale = w->lane_scale[c], *restrict level = w->level[c];
    i32 *sum = w->sum, *restrict coded_mean = w->coded_mean[c];
    u32 *restrict coded_choice = w->coded_choice[c];
    const i32 *restrict plain_mean = w->mean[c];
    const u32 *restrict choice = w->choice[c];
    for (int k = 0; k < FEATURES; k++) own[k] = FOR_ISA(feature)(w, c, k);
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
    FOR_ISA(compare_others)(w, c, n);
    FOR_ISA(correct_widely)(w, c, own, n);
    FOR_ISA(correct_nearby)(w, c, n);
    FOR_ISA(blend_means)(w, c, n);
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
    for (int which = 0; which < 2; which++) {
        const i16 *restrict corrected = which ? w->lane_near[c] : w->lane_wide[c];
        i16 *restrict missed = lane_row(w, w->missed[which][c], w->step, w->top);
        for (int i = 0; i < n; i++) {
            i32 size = 16 * value[i] - corrected[i];
            size = size < 0 ? -size : size;
            missed[i] = (i16)(size > MOST_ERROR ? MOST_ERROR : size);
        }
    }
    for (int i = 0; i < n && w->inactive; i++) {
        if (w->active[i]) continue;
        error[i] = left[i] = 0;
        for (int which = 0; which < 2; which++) *(lane_row(w, w->missed[which][c], w->step, w->top) + i) = 0;
    }
    /* Beyond the last sample there are no errors. */
    if (w->step - 2 * w->top != p->width - 1) return;
    for (i32 k = 1; k <= 2; k++) {
        *lane_row(w, w->error[c], w->step + k, w->top) = *lane_row(w, w->left[c], w->step + k, w->top) = 0;
        for (int which = 0; which < 2; which++) *lane_row(w, w->missed[which][c], w->step + k, w->top) = 0;
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

/* ---- what a step teaches ---- */

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

/* Move the weights of the step's rows towards what would have predicted better, and towards those around. */
static void FOR_ISA(learn_nearby)(Walk *w, int c, int n) {
    const i16 *rows[NEARBY];
    const i32 *restrict value = w->value[c];
    const i16 *restrict near = w->lane_near[c], *restrict factor = w->factor[c];
    i16 *restrict pace = w->pace, *smooth = w->smooth + REACH_Y;
    i32 *restrict size = w->sum;
    FOR_ISA(nearby)(w, c, rows);
    FOR_ISA(add_squares)(rows, size, n);
    for (int i = 0; i < n; i++) {
        i32 left = clamp(FOR_ISA(in_widths)(16 * value[i] - near[i], factor[i]), -96, 96);
        pace[i] = (i16)clamp(left * (1 << 24) / (size[i] + (1 << 14)), -INT16_MAX, INT16_MAX);
    }
    for (int i = 0; i < n && w->inactive; i++)
        if (!w->active[i]) pace[i] = 0;
    for (int k = 0; k < NEARBY; k++) {
        const i16 *restrict row = rows[k];
        i16 *weight = FOR_ISA(row_weight)(w, c, k);
#if WIDE_VECTORS
        for (int i = 0; i < n; i += 16) {
            __m256i *to = (__m256i *)(weight + i);
            __m256i f = _mm256_slli_epi16(_mm256_loadu_si256((const __m256i *)(row + i)), 5);
            __m256i moved = _mm256_mulhrs_epi16(f, _mm256_loadu_si256((const __m256i *)(pace + i)));
            _mm256_storeu_si256(to, _mm256_adds_epi16(_mm256_loadu_si256(to), moved));
        }
#else
        for (int i = 0; i < n; i++)
            weight[i] = (i16)clamp(weight[i] + ((row[i] * pace[i] + (1 << 9)) >> 10), INT16_MIN, INT16_MAX);
#endif
    }
    /* All rows at once, since a processor waits where it reads across what it has just written. */
    for (int k = 0; k < NEARBY; k++) FOR_ISA(smoothen)(FOR_ISA(row_weight)(w, c, k), smooth + (size_t)k * w->rows, 1, n);
    for (int k = 0; k < NEARBY; k++) FOR_ISA(smoothen)(smooth + (size_t)k * w->rows, FOR_ISA(row_weight)(w, c, k), 2, n);
}

/* Learn from the step's samples in all components. */
static void FOR_ISA(learn)(Walk *w, int n) {
    const Plane *p = w->plane;
    if (n == w->inactive) return; /* none teaches */
    for (int c = 0; c < p->components; c++) {
        FOR_ISA(learn_shifts)(w, c, n);
        FOR_ISA(learn_nearby)(w, c, n);
    }
    if (w->step % TEACHING) return;
    for (int c = 0; c < p->components; c++) {
        i16 *restrict goal = FOR_ISA(feature)(w, c, FEATURES);
        const i32 *restrict value = w->value[c];
        const i16 *restrict mean = w->lane_mean[c], *restrict coded = w->lane_coded[c], *restrict factor = w->factor[c];
        for (int i = 0; i < n; i++) {
            i32 left = clamp(FOR_ISA(in_widths)(16 * value[i] - coded[i], factor[i]), -96, 96);
            goal[i] = (i16)clamp(FOR_ISA(in_widths)(coded[i] - mean[i], factor[i]) + left, -1023, 1023);
        }
        for (int i = 0; i < n && w->inactive; i++)
            for (int k = 0; k <= FEATURES && !w->active[i]; k++) FOR_ISA(feature)(w, c, k)[i] = 0;
    }
    if (!p->by_parity) FOR_ISA(prepare_lessons)(w, 0, 0, 1, n);
    for (int odd = 0; odd < 2 && p->by_parity; odd++)
        FOR_ISA(prepare_lessons)(w, 2 * (w->step & 1) + odd, (w->top ^ odd) & 1, 2, n);
}
