/* Adaptation: what a plane's own errors teach, compiled once for every instruction set (see _front.h).

   bitstream_spec.md, section 6.9.  The network's mean is corrected by a linear prediction of its error, whose weights
   follow the plane, or each parity of it, by least squares.  A second prediction starts from there, with weights that
   follow their row and those around it.  The two means are blended by what each missed close by.  The scale index is
   shifted by what would have coded better so far.  Samples of one step see the same state; what they teach comes after
   the step.  Copies and stored samples teach nothing: their lanes are computed all the same, and then their features
   are 0. */

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
    FOR_ISA(multiply)(rows, weight, w->sum, n);
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

/* ---- what a step teaches ---- */

/* Move the weights of the step's rows towards what would have predicted better, and towards those around. */
static void FOR_ISA(learn_nearby)(Walk *w, int c, int n) {
    const i16 *rows[NEARBY];
    const i32 *restrict value = w->value[c];
    const i16 *restrict near = w->lane_near[c], *restrict factor = w->factor[c];
    i16 *restrict pace = w->pace, *smooth = w->smooth + REACH_Y;
    i32 *restrict size = w->sum;
    FOR_ISA(nearby)(w, c, rows);
    FOR_ISA(multiply)(rows, rows, size, n); /* their squares */
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
