/* Decisions (bitstream_spec.md, section 6.10): the second stage of adaptation, compiled once for every instruction set
   (see _front.h).  A mean that follows the columns around by least squares is blended with that of _adapt.h; then a
   sample is coded question by question, under probabilities mixed from what tables say and from counters. */

/* ---- local means ---- */

static inline i16 *FOR_ISA(extra_feature)(const Walk *w, int k) {
    return w->extra_feature + (size_t)k * ((size_t)w->most + BATCH);
}

/* The features that adaptation does not have. */
static void FOR_ISA(extra_features)(Walk *w, int c, int n) {
    const i16 *factor = w->factor[c];
    i32 step = w->step, top = w->top;
    int k = 0;
    for (int j = 0; j < OUTER; j++)
        FOR_ISA(normalise)(lane_row(w, w->error[c], step + OUTER_X[j] + 2 * OUTER_Y[j], top + OUTER_Y[j]), factor,
                           FOR_ISA(extra_feature)(w, k++), n);
    for (int j = 0; j < WIDER; j++) {
        i16 *to = FOR_ISA(extra_feature)(w, k++);
        const i16 *value = lane_row(w, w->known[c], step + WIDER_X[j] + 2 * WIDER_Y[j], top + WIDER_Y[j]);
        FOR_ISA(relative)(value, w->lane_mean[c], to, n);
        FOR_ISA(normalise)(to, factor, to, n);
    }
}

/* The sum of LOCAL_ROOM products; that of their sizes fits 32 bits. */
static inline i32 FOR_ISA(dot)(const i16 *a, const i16 *b) {
#if WIDE_VECTORS
    __m256i sum = _mm256_setzero_si256();
    for (int k = 0; k < 48; k += 16)
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(a + k)),
                                                      _mm256_loadu_si256((const __m256i *)(b + k))));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    __m128i rest = _mm_madd_epi16(_mm_loadu_si128((const __m128i *)(a + 48)),
                                  _mm_loadu_si128((const __m128i *)(b + 48)));
    four = _mm_add_epi32(four, rest);
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
#else
    i32 sum = 0;
    for (int k = 0; k < LOCAL_ROOM; k++) sum += a[k] * b[k];
    return sum;
#endif
}

static inline i32 FOR_ISA(ringed)(const Walk *w, const i16 *ring, int x, int y, i32 row) {
    return ring[lane_of(w, w->step + x + 2 * y, row + y)];
}

/* What was missed around a lane. */
static inline u32 FOR_ISA(missed_around)(const Walk *w, const i16 *ring, i32 row) {
    u32 west = (u32)magnitude(FOR_ISA(ringed)(w, ring, -1, 0, row));
    u32 north = (u32)magnitude(FOR_ISA(ringed)(w, ring, 0, -1, row));
    u32 north_west = (u32)magnitude(FOR_ISA(ringed)(w, ring, -1, -1, row));
    u32 north_east = (u32)magnitude(FOR_ISA(ringed)(w, ring, 1, -1, row));
    return 2 * (west + north) + north_west + north_east + 1;
}

/* The local and the blended means of component c, after its adaptation. */
static void FOR_ISA(blend)(Walk *w, int c, int n) {
    Decided *d = &w->decided[c];
    i32 least = 16 * (c ? -255 : 0);
    FOR_ISA(extra_features)(w, c, n);
    for (int k = 0; k < LOCAL; k++) {
        int extra = k - FEATURES - OTHERS;
        const i16 *row = extra < 0 ? FOR_ISA(feature)(w, c, k < FEATURES ? k : k + 1) : FOR_ISA(extra_feature)(w, extra);
        i16 *to = d->feature + k;
        for (int i = 0; i < n; i++) to[i * LOCAL_ROOM] = row[i];
    }
    for (int i = 0; i < n; i++) {
        i32 row = w->top + i, far = w->lane_coded[c][i];
        const Segment *segment = d->segment + ((w->step - 2 * row) >> SEGMENT_BITS);
        i32 sum = FOR_ISA(dot)(segment->weight, d->feature + i * LOCAL_ROOM);
        i32 local = FOR_ISA(corrected)(w->lane_mean[c][i], sum, w->lane_scale[c][i], w->width[i], least);
        i64 a = FOR_ISA(missed_around)(w, d->missed, row), b = FOR_ISA(missed_around)(w, w->left[c], row);
        a *= a;
        b *= b;
        i64 all = local * b + far * a, blended = all / (a + b);
        d->local[i] = (i16)local;
        d->blended[i] = (i16)(blended - (all % (a + b) < 0));
    }
}

/* ---- questions ---- */

/* One row of a table: the frequency of all values below one. */
typedef struct {
    const u32 *cumulative;
    i32 sign, centre;
} FOR_ISA(Row);

static inline FOR_ISA(Row) FOR_ISA(row_of)(const Bank *bank, i32 mean, i32 shape) {
    Choice choice = bank->choice[(mean & 15) + FRACTIONS * shape];
    return (FOR_ISA(Row)){bank->cumulative[choice.row], choice.sign, (mean >> 4) + choice.carry};
}

static inline u32 FOR_ISA(below)(const FOR_ISA(Row) *row, i32 v) {
    if (row->sign > 0) return row->cumulative[clamp(v - row->centre + REACH, 0, SYMBOLS)];
    return (1u << PRECISION) - row->cumulative[clamp(row->centre - v + REACH + 1, 0, SYMBOLS)];
}

/* 256 times the natural logarithm; 0 of 0. */
static inline i32 FOR_ISA(logarithm)(const Bank *bank, u32 f) {
    if (!f) return 0;
    int n = log2_floor(f);
    u32 lead = (n > 8 ? f >> (n - 8) : f << (8 - n)) & 255;
    return (i32)((((u64)n << 16) + bank->fraction[lead]) * 45426 >> 24);
}

/* A sample that is asked about. */
typedef struct {
    Decided *d;
    FOR_ISA(Row) row[2];      /* by the network's scale and by the shifted one */
    Counter *counter[PLACES];
    Mixer *by_noise, *by_shape;
    i32 whole, above;
} FOR_ISA(Asked);

static inline int FOR_ISA(decide)(Walk *w, u32 p, int bit) {
    if (w->mode == DECODE) return take_decision(&w->decoder, p);
    w->out[w->count++] = DECISION | p << 1 | (u32)bit;
    return bit;
}

/* The frequency of the distances from i to j - 1 on the sample's side. */
static inline u32 FOR_ISA(mass)(const FOR_ISA(Asked) *q, int row, i32 i, i32 j) {
    const FOR_ISA(Row) *r = &q->row[row];
    if (q->above) return FOR_ISA(below)(r, q->whole + 1 + j) - FOR_ISA(below)(r, q->whole + 1 + i);
    return FOR_ISA(below)(r, q->whole + 1 - i) - FOR_ISA(below)(r, q->whole + 1 - j);
}

/* The answer to a question about frequencies yes and no by each row. */
static inline int FOR_ISA(answer)(Walk *w, FOR_ISA(Asked) *q, int number, int kind, const u32 *yes, const u32 *no,
                                  int bit) {
    const Bank *bank = w->bank;
    const Curves *curves = &bank->curves;
    Counter *counter[PLACES];
    i32 input[INPUTS] = {0};
    for (int i = 0; i < PLACES; i++) {
        counter[i] = q->counter[i] + number;
        input[i] = stretched(curves, *counter[i]);
    }
    for (int r = 0; r < 2; r++) {
        i32 odds = FOR_ISA(logarithm)(bank, yes[r]) - FOR_ISA(logarithm)(bank, no[r]);
        input[PLACES + r] = clamp(odds, -MOST_INPUT, MOST_INPUT);
    }
    input[PLACES + 2] = 256;
    Mixer *mixer[3] = {q->d->by_question + number, q->by_noise + kind, q->by_shape + kind};
    i32 sum[3];
    for (int i = 0; i < 3; i++) sum[i] = mix(mixer[i], input);
    bit = FOR_ISA(decide)(w, squashed(curves, floor_div(sum[0] + sum[1] + sum[2], 3)), bit);
    for (int i = 0; i < 3; i++) learn(mixer[i], input, squashed(curves, sum[i]), bit, 70, 8);
    for (int i = 0; i < PLACES; i++) update(curves, counter[i], bit, i == 0 || i == 6 ? 400 : 250);
    return bit;
}

/* The distance on one side of the mean. */
static inline i32 FOR_ISA(distance)(Walk *w, FOR_ISA(Asked) *q, i32 truth) {
    int known = truth ? log2_floor((u32)truth) + 1 : 0, length = 0;
    u32 yes[2], no[2];
    for (; length < LENGTHS; length++) {
        i32 least = length ? 1 << (length - 1) : 0, next = 1 << length;
        for (int r = 0; r < 2; r++) {
            yes[r] = FOR_ISA(mass)(q, r, next, 1022);
            no[r] = FOR_ISA(mass)(q, r, least, next);
        }
        if (!FOR_ISA(answer)(w, q, 1 + length, 1 + length, yes, no, known > length)) break;
    }
    i32 far = length ? 1 << (length - 1) : 0;
    for (int g = 1, half = far >> 1, first = 0; g < length; g++, half >>= 1) {
        for (int r = 0; r < 2; r++) {
            yes[r] = FOR_ISA(mass)(q, r, far + half, far + 2 * half);
            no[r] = FOR_ISA(mass)(q, r, far, far + half);
        }
        int bit = (truth & half) != 0;
        if (g == 1) {
            bit = first = FOR_ISA(answer)(w, q, 8 + length, 10, yes, no, bit);
        } else if (g == 2) {
            bit = FOR_ISA(answer)(w, q, 12 + 2 * length + first, 11, yes, no, bit);
        } else {
            u32 all = yes[1] + no[1];
            bit = FOR_ISA(decide)(w, all ? (u32)clamp((int)(((u64)yes[1] << 16) / all), 32, 65504) : 32768, bit);
        }
        if (bit) far += half;
    }
    return far;
}

static inline i32 FOR_ISA(value_around)(const Walk *w, int c, int x, int y, i32 row, i32 otherwise) {
    i32 found = FOR_ISA(ringed)(w, w->known[c], x, y, row);
    return found == OUTSIDE ? otherwise : found;
}

/* Code component c of lane i, whose value is `truth` if it is known. */
static i32 FOR_ISA(decide_sample)(Walk *w, int c, int i, i32 truth) {
    const Bank *bank = w->bank;
    Decided *d = &w->decided[c];
    i32 row = w->top + i, mean = d->blended[i], scale = w->lane_scale[c][i];
    i32 tail = (i32)(w->choice[c][i] / FRACTIONS % TAILS), shape = tail + TAILS * scale;
    i32 whole = mean >> 4, fraction = (mean & 15) >> 1;
    FOR_ISA(Asked) q = {.d = d, .whole = whole};
    q.row[0] = FOR_ISA(row_of)(bank, mean, shape);
    q.row[1] = FOR_ISA(row_of)(bank, mean, (i32)(w->coded_choice[c][i] / FRACTIONS));

    i32 west = FOR_ISA(ringed)(w, d->last, -1, 0, row), north = FOR_ISA(ringed)(w, d->last, 0, -1, row);
    i32 north_east = FOR_ISA(ringed)(w, d->last, 1, -1, row);
    i32 energy = 2 * (magnitude(west) + magnitude(north)) + magnitude(FOR_ISA(ringed)(w, d->last, -1, -1, row)) +
                 magnitude(north_east) + magnitude(FOR_ISA(ringed)(w, d->last, -2, 0, row)) +
                 magnitude(FOR_ISA(ringed)(w, d->last, 0, -2, row));
    i32 before = c ? FOR_ISA(ringed)(w, d[-1].last, 0, 0, row) : 0;
    i32 beyond = c > 1 ? FOR_ISA(ringed)(w, d[-2].last, 0, 0, row) : 0;
    int noise = at_most(quarter_log((u32)(c ? (energy + 3 * magnitude(before)) >> 1 : energy)), NOISES - 1);
    i32 z = (energy >> 3) + 2;
    int agree = side_level(w->lane_coded[c][i] - d->local[i], z + 2);
    int middle = side_level(w->lane_mean[c][i] - mean, z + 2);
    int was = size_level(before, z), light = quarter_log((u32)magnitude(whole)) * 27 + noise / 3;
    int from_west = clamp(4 * west / z, -2, 2) + 2, from_north = clamp(4 * north / z, -2, 2) + 2;
    i32 vw = FOR_ISA(value_around)(w, c, -1, 0, row, whole), vn = FOR_ISA(value_around)(w, c, 0, -1, row, whole);
    i32 vnw = FOR_ISA(value_around)(w, c, -1, -1, row, whole), vne = FOR_ISA(value_around)(w, c, 1, -1, row, whole);
    i32 vww = FOR_ISA(value_around)(w, c, -2, 0, row, whole), vnn = FOR_ISA(value_around)(w, c, 0, -2, row, whole);
    i32 gradient = magnitude(vw - vnw) + magnitude(vn - vnw) + magnitude(vn - vne) + magnitude(vw - vww) +
                   magnitude(vn - vnn);
    int texture = (vw > vn) | (vn > vnw) << 1 | (vw > vnw) << 2 | (vne > vn) << 3 | (vww > vw) << 4 | (vnn > vn) << 5 |
                  (2 * vw - vww > whole) << 6 | (2 * vn - vnn > whole) << 7;

    int sign[PLACES] = {noise * 8 + fraction,
                        fraction * 9 + agree,
                        ((before > 0) * 2 + (beyond > 0)) * 81 + agree * 9 + middle,
                        (from_west * 5 + from_north) * 8 + was,
                        texture * 4 + (fraction >> 1),
                        light,
                        shape * 8 + fraction,
                        scale * NOISES + noise};
    for (int k = 0; k < PLACES; k++) q.counter[k] = d->counter[k] + (size_t)sign[k] * QUESTIONS;
    q.by_noise = d->by_noise + noise * KINDS;
    q.by_shape = d->by_shape + shape * KINDS;
    u32 yes[2], no[2];
    for (int r = 0; r < 2; r++) {
        no[r] = FOR_ISA(below)(&q.row[r], whole + 1);
        yes[r] = (1u << PRECISION) - no[r];
    }
    q.above = FOR_ISA(answer)(w, &q, 0, 0, yes, no, truth > whole);
    if (q.above) {
        agree = 8 - agree;
        middle = 8 - middle;
        fraction = 7 - fraction;
    }
    int other = 2 * size_level(north_east, z);
    if (c) other = clamp((quarter_log((u32)magnitude(before)) - noise + 40) / 3, 0, 15);
    int rough = clamp((quarter_log((u32)gradient) - noise + 28) / 2, 0, 11);
    int far_west = at_most(quarter_log((u32)magnitude(west) >> 1) / 3, 23);
    int far_north = at_most(quarter_log((u32)magnitude(north) >> 1) / 3, 23);
    int further[PLACES] = {noise * 8 + fraction,
                           noise * 12 + rough,
                           (was * 2 + (noise > 28)) * 81 + agree * 9 + middle,
                           far_west * 24 + far_north,
                           noise * 16 + other,
                           light,
                           shape * 8 + fraction,
                           scale * NOISES + noise};
    for (int k = 0; k < PLACES; k++) q.counter[k] = d->counter[k] + (size_t)further[k] * QUESTIONS;
    i32 far = FOR_ISA(distance)(w, &q, q.above ? truth - whole - 1 : whole - truth);
    return q.above ? whole + 1 + far : whole - far;
}

/* Code one component of the step's active samples, and note what was missed. */
static int FOR_ISA(decide_component)(Walk *w, int c, int n) {
    Decided *d = &w->decided[c];
    i32 low = c ? -255 : 0, *value = w->value[c];
    i16 *last = lane_row(w, d->last, w->step, w->top), *missed = lane_row(w, d->missed, w->step, w->top);
    int impossible = 0;
    FOR_ISA(blend)(w, c, n);
    for (int i = 0; i < n; i++) {
        last[i] = missed[i] = 0;
        if (!w->active[i]) continue;
        i32 v = FOR_ISA(decide_sample)(w, c, i, w->mode == DECODE ? 0 : w->truth[c][i]), inside = clamp(v, low, 255);
        impossible |= inside != v;
        value[i] = inside;
        last[i] = (i16)clamp(16 * inside - d->blended[i], -MOST_ERROR, MOST_ERROR);
        missed[i] = (i16)clamp(16 * inside - d->local[i], -MOST_ERROR, MOST_ERROR);
    }
    /* Beyond the last sample there are no errors. */
    for (i32 k = 1; k <= 2 && w->step - 2 * w->top == w->plane->width - 1; k++)
        *lane_row(w, d->last, w->step + k, w->top) = *lane_row(w, d->missed, w->step + k, w->top) = 0;
    return impossible ? IMPOSSIBLE_SAMPLE : DONE;
}

/* ---- learning ---- */

/* Add the products of what a segment was taught to its sums, which forget a 16th. */
static void FOR_ISA(sum_up)(Segment *s) {
    for (int k = 0; k <= LOCAL; k++) {
#if WIDE_VECTORS
        __m256i sum[LOCAL_ROOM / 8];
        for (int v = 0; v < LOCAL_ROOM / 8; v++) sum[v] = _mm256_setzero_si256();
        for (int t = 0; t < TAUGHT / 2; t++) {
            i32 two;
            memcpy(&two, s->taught[t][k], 4);
            __m256i own = _mm256_set1_epi32(two);
            for (int v = 0; v < LOCAL_ROOM / 8; v++) {
                __m256i other = _mm256_loadu_si256((const __m256i *)s->taught[t][8 * v]);
                sum[v] = _mm256_add_epi32(sum[v], _mm256_madd_epi16(own, other));
            }
        }
        for (int v = 0; v < LOCAL_ROOM / 8; v++) {
            __m256i *to = (__m256i *)(s->product[k] + 8 * v), old = _mm256_loadu_si256(to);
            _mm256_storeu_si256(to, _mm256_sub_epi32(_mm256_add_epi32(old, sum[v]), _mm256_srai_epi32(old, 4)));
        }
#else
        for (int j = 0; j < LOCAL_ROOM; j++) {
            i32 sum = 0;
            for (int t = 0; t < TAUGHT / 2; t++)
                sum += s->taught[t][k][0] * s->taught[t][j][0] + s->taught[t][k][1] * s->taught[t][j][1];
            s->product[k][j] += sum - (s->product[k][j] >> 4);
        }
#endif
    }
}

/* Improve a segment's weights once, by its sums and those at its sides. */
static void FOR_ISA(improve)(Segment *s, int has_left, int has_right) {
    i32 product[LOCAL_ROOM], weight[LOCAL_ROOM], goal[LOCAL_ROOM];
    for (int k = 0; k < LOCAL_ROOM; k++) {
        weight[k] = s->weight[k];
        goal[k] = s->product[LOCAL][k];
        if (has_left) goal[k] += s[-1].product[LOCAL][k];
        if (has_right) goal[k] += s[1].product[LOCAL][k];
    }
    for (int k = 0; k < LOCAL; k++) {
        for (int j = 0; j < LOCAL_ROOM; j++) product[j] = s->product[k][j];
        for (int j = 0; j < LOCAL_ROOM && has_left; j++) product[j] += s[-1].product[k][j];
        for (int j = 0; j < LOCAL_ROOM && has_right; j++) product[j] += s[1].product[k][j];
        i64 ridge = (product[k] >> 14) + LOCAL_RIDGE, left = (i64)goal[k] * (1 << 14) - ridge * weight[k];
        for (int j = 0; j < LOCAL; j++) left -= (i64)product[j] * weight[j];
        i64 whole = product[k] + ridge, moved = weight[k] + left / whole - (left % whole < 0);
        weight[k] = (i32)(moved < -INT16_MAX ? -INT16_MAX : moved > INT16_MAX ? INT16_MAX : moved);
        s->weight[k] = (i16)weight[k];
    }
}

/* Teach the segments the step's samples in all components. */
static void FOR_ISA(learn_locally)(Walk *w, int n) {
    i32 last = (w->plane->width - 1) >> SEGMENT_BITS;
    for (int c = 0; c < w->plane->components; c++) {
        Decided *d = &w->decided[c];
        for (int i = 0; i < n; i++) {
            if (!w->active[i]) continue;
            i32 number = (w->step - 2 * (w->top + i)) >> SEGMENT_BITS;
            Segment *s = d->segment + number;
            const i16 *feature = d->feature + i * LOCAL_ROOM;
            i32 goal = FOR_ISA(in_widths)(16 * w->value[c][i] - w->lane_mean[c][i], w->factor[c][i]);
            int pair = s->count / 2, half = s->count & 1;
            for (int k = 0; k < LOCAL; k++) s->taught[pair][k][half] = feature[k];
            s->taught[pair][LOCAL][half] = (i16)clamp(goal, -MOST_GOAL, MOST_GOAL);
            if (++s->count < TAUGHT) continue;
            s->count = 0;
            FOR_ISA(sum_up)(s);
            FOR_ISA(improve)(s, number > 0, number < last);
        }
    }
}
