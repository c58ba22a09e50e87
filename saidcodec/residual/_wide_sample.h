/* How a wide sample is predicted and coded (bitstream_spec.md, sections 8.6.3 to 8.6.5). */

/* ---- prediction ---- */

/* What is known around a sample. */
typedef struct {
    i32 w, n, nw, ne, ww, nn;
    i32 median;
    i32 gradient; /* sum of differences close by */
    i32 energy;   /* 128 times the errors close by */
    i32 predicted, local, wide; /* in sixteenths */
} Around;

static inline i32 median_of(i32 w, i32 n, i32 nw) {
    i32 more = w > n ? w : n, less = w > n ? n : w;
    return nw >= more ? less : nw <= less ? more : w + n - nw;
}

static INLINE void look(const Model *m, const Component *p, const i32 *q, const i32 *e, Around *a) {
    ptrdiff_t row = (ptrdiff_t)m->row;
    a->w = q[-1];
    a->n = q[-row];
    a->nw = q[-row - 1];
    a->ne = q[1 - row];
    a->ww = q[-2];
    a->nn = q[-2 * row];
    a->median = median_of(a->w, a->n, a->nw);
    a->gradient = magnitude(a->w - a->nw) + magnitude(a->n - a->nw) + magnitude(a->n - a->ne) +
                  magnitude(a->w - a->ww) + magnitude(a->n - a->nn);
    for (int d = 1; d <= p->earlier; d++) {
        const i32 *o = p[-d].cells + (q - p->cells);
        a->gradient += (magnitude(o[0] - o[-1]) + magnitude(o[0] - o[-row])) >> 1;
    }
    a->energy = 2 * (magnitude(e[-1]) + magnitude(e[-row])) + magnitude(e[-row - 1]) + magnitude(e[1 - row]) +
                magnitude(e[-2]) + magnitude(e[-2 * row]);
}

/* The features of a sample, from which its difference from the median is predicted; returns log2 of their unit. */
static INLINE int find_features(const Model *m, const Component *p, const i32 *q, const i32 *e, const Around *a,
                                i32 *feature) {
    ptrdiff_t row = (ptrdiff_t)m->row, at = q - p->cells;
    i32 *f = feature;
    *f++ = a->w - a->median;
    *f++ = a->n - a->median;
    *f++ = a->w - a->nw;
    *f++ = a->n - a->ne;
    *f++ = a->w - a->ww;
    *f++ = a->n - a->nn;
    *f++ = a->ne - q[1 - 2 * row];
    *f++ = a->ne - q[2 - row];
    *f++ = a->nw - q[-2 - row];
    *f++ = a->nw - q[-1 - 2 * row];
    *f++ = a->ww - q[-3];
    *f++ = a->nn - q[-3 * row];
    for (int d = p->earlier; d > 0; d--) {
        const i32 *o = p[-d].cells + at;
        *f++ = o[0] - o[-1];
        *f++ = o[0] - o[-row];
        *f++ = o[-row] - o[-row - 1];
        *f++ = o[-row] - o[1 - row];
        *f++ = o[0] - median_of(o[-1], o[-row], o[-row - 1]);
        *f++ = o[-1] - o[-2];
    }
    for (int d = 1; d <= p->later; d++) {
        const i32 *o = p[d].cells + at;
        *f++ = o[-1] - o[-row - 1];
        *f++ = o[-row] - o[-row - 1];
        *f++ = o[-row] - o[1 - row];
    }
    int unit = bit_length((u32)((a->gradient >> 4) + 2 * (a->energy >> 7)));
    for (i32 *i = feature; i < f; i++) *i = clamp(*i * (1 << UNIT) >> unit, -MOST_FEATURE, MOST_FEATURE);
    *f++ = clamp(e[-1] * (1 << (UNIT - FRACTION)) >> unit, -MOST_FEATURE, MOST_FEATURE);
    *f++ = clamp(e[-row] * (1 << (UNIT - FRACTION)) >> unit, -MOST_FEATURE, MOST_FEATURE);
    for (int d = p->earlier; d > 0; d--)
        *f++ = clamp(p[-d].errors[at] * (1 << (UNIT - FRACTION)) >> unit, -MOST_FEATURE, MOST_FEATURE);
    return unit;
}

/* A prediction in sixteenths of a sample. */
static INLINE i32 predict(const Component *p, const i32 *weight, const i32 *feature, int unit, const Around *a) {
    enum { LEFT = WEIGHT_BITS + UNIT - FRACTION - 7 };
    i64 change = ((weighted(weight, feature, p->features) >> 7) * ((i64)1 << unit)) >> LEFT;
    const i64 most = (i64)1 << 20;
    change = change < -most ? -most : change > most ? most : change;
    return clamp(16 * a->median + (i32)change, 0, 16 * p->top);
}

/* The two predictions, each weighed by the squares of what the other has missed around. */
static INLINE i32 blend(const Component *p, i32 x, i32 local, i32 wide) {
    const i32 *l = p->missed[0] + x, *w = p->missed[1] + x;
    u64 a = 2 * (u64)(l[-1] + l[0]) + (u64)(l[1] + l[2]) + 1, b = 2 * (u64)(w[-1] + w[0]) + (u64)(w[1] + w[2]) + 1;
    a *= a;
    b *= b;
    int shift = bit_length((u32)((a > b ? a : b) >> 20)); /* below 2^28 */
    a >>= shift;
    b >>= shift;
    return (i32)(((u64)local * b + (u64)wide * a) / (a + b));
}

/* ---- a sample ---- */

/* Where the counters and mixers of a sample's decisions are. */
typedef struct {
    Counter *counter[CONTEXTS];
    Mixer *by_level;
    int side; /* which of two mixers by node */
} Place;

static INLINE int ask(Model *m, Component *p, Coder *coder, int decoding, const Place *place, int node, int kind,
                      int bit) {
    const Curves *curves = &m->curves;
    Counter *counter[CONTEXTS];
    i32 input[INPUTS] = {0};
    for (int i = 0; i < CONTEXTS; i++) {
        counter[i] = place->counter[i] + node;
        input[i] = stretched(curves, *counter[i]);
    }
    input[INPUTS - 1] = 256;
    Mixer *one = p->by_node + 2 * node + place->side, *two = place->by_level + kind;
    i32 first = mix(one, input), second = mix(two, input);
    bit = decide(coder, decoding, squashed(curves, (first + second) >> 1), bit);
    learn(one, input, squashed(curves, first), bit, FAST, SLOW);
    learn(two, input, squashed(curves, second), bit, FAST, SLOW);
    for (int i = 0; i < CONTEXTS; i++) update(curves, counter[i], bit, i ? LIMIT : SURE_LIMIT);
    return bit;
}

/* Code a distance by its bit length, its upper bits and the rest, `spare` bits of which are not asked about. */
static INLINE u32 distance(Model *m, Component *p, Coder *coder, int decoding, const Place *place, int spare,
                           u32 value) {
    u32 upper = value >> spare;
    int length = 0, known = bit_length(upper);
    while (length < EXPONENTS && ask(m, p, coder, decoding, place, 1 + length, 1 + length, known > length)) length++;
    u32 found = length > 0;
    int rest = length - 1;
    if (length > 1) {
        rest--;
        u32 bit = (u32)ask(m, p, coder, decoding, place, 15 + length, 17, upper >> rest & 1);
        found = found << 1 | bit;
        if (length > 2) {
            rest--;
            int node = 26 + 2 * at_most(length, 9) + (int)bit;
            found = found << 1 | (u32)ask(m, p, coder, decoding, place, node, 18, upper >> rest & 1);
        }
    }
    int plain = (rest > 0 ? rest : 0) + spare;
    return plain ? found << plain | plain_bits(coder, decoding, plain, value & ((1u << plain) - 1)) : found;
}

/* Code component p of the pixel at column x, whose cell is q. */
static INLINE void sample(Model *m, Component *p, Coder *coder, int decoding, i32 x, int first_row, i32 *q) {
    ptrdiff_t row = (ptrdiff_t)m->row, at = q - p->cells;
    i32 *e = p->errors + at, segment = x / SEGMENT, value = *q;
    Around a;
    i32 feature[FEATURES];
    int unit = 0;
    look(m, p, q, e, &a);
    if (first_row) a.predicted = a.local = a.wide = 16 * (x ? a.w : 0);
    else {
        unit = find_features(m, p, q, e, &a, feature);
        a.local = predict(p, p->local_weight + (size_t)segment * FEATURES, feature, unit, &a);
        a.wide = predict(p, p->wide_weight, feature, unit, &a);
        a.predicted = blend(p, x, a.local, a.wide);
    }

    i32 width = a.energy >> 3, beside = p->earlier ? p[-1].errors[at] : 0, beyond = p->earlier > 1 ? p[-2].errors[at] : 0;
    i32 energy = p->earlier ? (a.energy + 3 * magnitude(beside)) >> 1 : a.energy;
    int level = at_most(quarter_log((u32)(energy / m->step)), LEVELS - 1);
    int spare = (level + 1) >> 2 > 9 ? ((level + 1) >> 2) - 9 : 0, fine = m->step == 1 && !spare;
    i32 whole = a.predicted >> 4, fraction = fine ? (a.predicted & 15) >> 1 : 0;
    i32 wide = width + 4, narrow = width + 2;
    int agree = side_level(a.wide - a.local, wide), middle = side_level(16 * a.median - a.predicted, wide);
    int before = size_level(beside, narrow), value_level = quarter_log((u32)whole), third = level / 3;
    int west = clamp(4 * e[-1] / narrow, -2, 2) + 2, north = clamp(4 * e[-row] / narrow, -2, 2) + 2;
    int texture = (a.w > a.n) | (a.n > a.nw) << 1 | (a.w > a.nw) << 2 | (a.ne > a.n) << 3 | (a.ww > a.w) << 4 |
                  (a.nn > a.n) << 5 | (2 * a.w - a.ww > whole) << 6 | (2 * a.n - a.nn > whole) << 7;

    i32 steps = 0;
    if (!decoding) {
        i32 t = value - whole + m->step / 2;
        steps = t < 0 ? -((m->step - 1 - t) / m->step) : t / m->step;
    }
    Place place;
    int context[CONTEXTS] = {level * 8 + fraction,
                             fraction * 9 + agree,
                             ((beside > 0) * 2 + (beyond > 0)) * 81 + agree * 9 + middle,
                             (west * 5 + north) * 8 + before,
                             texture * 4 + (fraction >> 1),
                             value_level * 27 + third};
    for (int i = 0; i < CONTEXTS; i++) place.counter[i] = p->table[i] + (size_t)context[i] * NODES;
    place.by_level = p->by_level + level * KINDS;
    place.side = 0;
    int above = ask(m, p, coder, decoding, &place, 0, 0, steps > 0);

    if (above) {
        agree = 8 - agree;
        middle = 8 - middle;
        fraction = fine ? 7 - fraction : 0;
    }
    if (m->step > 1) place.side = fraction = above;
    i32 other = p->earlier ? clamp((quarter_log((u32)magnitude(beside)) - level + 40) / 3, 0, 15)
                           : 2 * size_level(e[1 - row], narrow);
    int rough = clamp((quarter_log((u32)a.gradient) - level + 28) / 2, 0, 11);
    int far_west = at_most(quarter_log((u32)magnitude(e[-1]) >> 1) / 3, 23);
    int far_north = at_most(quarter_log((u32)magnitude(e[-row]) >> 1) / 3, 23);
    int next[CONTEXTS] = {level * 8 + fraction,
                          level * 12 + rough,
                          (before * 2 + (level > 28)) * 81 + agree * 9 + middle,
                          far_west * 24 + far_north,
                          level * 16 + other,
                          value_level * 27 + third};
    for (int i = 0; i < CONTEXTS; i++) place.counter[i] = p->table[i] + (size_t)next[i] * NODES;
    u32 far = distance(m, p, coder, decoding, &place, spare, (u32)(above ? steps - 1 : -steps));

    i64 found = whole + (i64)m->step * (above ? (i64)far + 1 : -(i64)far);
    value = (i32)(found < 0 ? 0 : found > p->top ? p->top : found);
    *q = value;
    *e = 16 * value - a.predicted;
    p->missed[0][x] = magnitude(16 * value - a.local);
    p->missed[1][x] = magnitude(16 * value - a.wide);
    if (!first_row) {
        int t = x - segment * SEGMENT;
        for (int i = 0; i < p->features; i++) p->learned[i][t] = (i16)feature[i];
        p->learned[FEATURES][t] =
            (i16)clamp((value - a.median) * (1 << UNIT) >> unit, -MOST_FEATURE, MOST_FEATURE);
    }
}
