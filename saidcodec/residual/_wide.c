/* The C core of the coder of wide samples: images of 9 to 16 bits a sample.

   bitstream_spec.md defines what it computes; wide_reference.py is the same in plain Python, and both give the same
   bytes.  Python calls it through ctypes (wide.py), which checks every array beforehand.  No function keeps a pointer
   to an array of the caller.

   Samples are coded in raster order, the components of a pixel one after the other.  Two predictions follow the image
   by least squares, one of them the columns around, the other all that was coded lately; they are blended by their
   errors close by.  What is left is coded by binary decisions under probabilities that are learned along.

   A hostile stream decodes to some samples: every loop is bounded by the image's size, every index by a table's. */

#include "_shared.h"

#define INPUTS 8 /* of a mixer, the constant one included */
#include "_decisions.h"
#include "_squares.h"

enum {
    COMPONENTS = 4,
    MARGIN = 4, /* cells repeated at both sides of a row, and rows above the first */
    FRACTION = 4, /* bits of a prediction below the sample */
    UNIT = 7, /* log2 of what a feature is where it is as large as the error that is expected */
    LOCAL_SHIFT = 3, WIDE_SHIFT = 7, /* how fast sums are forgotten */
    LEVELS = 80,
    NODES = 46, /* decisions of a sample that differ */
    EXPONENTS = 16, /* bits of a distance, most */
    KINDS = 19, /* decisions that mixers tell apart */
    CONTEXTS = 6,
    FAST = 140, SLOW = 16, SURE_LIMIT = 400, LIMIT = 250,
    MOST_SIDE = 1 << 20
};

/* Contexts of each of the six counters of a decision. */
static const int SIZES[CONTEXTS] = {LEVELS * 8, LEVELS * 12, 16 * 81, 24 * 24, LEVELS * 16, 64 * 27};

typedef struct {
    int features, earlier, later; /* colour components before this one, and after it */
    i32 top;                     /* largest sample */
    i32 *cells, *errors;         /* [MARGIN + height][row]: samples, and what predictions missed in sixteenths */
    i32 *missed[2];              /* [row]: what each of the two predictions missed at its last sample in a column */
    i64 *local, *wide;           /* sums: [segments][count_sums(features)], and one */
    i32 *local_weight, wide_weight[FEATURES]; /* [segments][FEATURES] */
    Counter *table[CONTEXTS];    /* [SIZES][NODES] */
    Mixer *by_node;              /* [NODES][2] */
    Mixer *by_level;             /* [LEVELS][KINDS] */
    Features learned;
} Component;

typedef struct {
    Curves curves;
    i32 width, height, components, segments, step;
    size_t row;
    Component part[COMPONENTS];
    void *memory;
} Model;

/* ---- levels of numbers ---- */

static inline int bit_length(u32 v) { return v ? log2_floor(v) + 1 : 0; }

/* Four times the logarithm to base 2, about; 0 for 0. */
static inline int quarter_log(u32 v) {
    static const u8 FIRST[4] = {0, 1, 3, 5};
    if (v < 4) return FIRST[v];
    int b = log2_floor(v);
    return 4 * b - 1 + (int)(v >> (b - 2) & 3);
}

/* A difference in widths, 0 ... 8; 4 where it is small. */
static inline int side_level(i32 d, i32 width) {
    i32 a = 8 * magnitude(d);
    int level = (a >= width) + (a >= 3 * width) + (a >= 8 * width) + (a >= 20 * width);
    return d < 0 ? 4 - level : 4 + level;
}

/* The size of an error in widths, 0 ... 7. */
static inline int size_level(i32 e, i32 width) {
    i32 a = 8 * magnitude(e);
    return (a >= width) + (a >= 3 * width) + (a >= 5 * width) + (a >= 8 * width) + (a >= 12 * width) +
           (a >= 18 * width) + (a >= 30 * width);
}

/* ---- memory ---- */

static void parts(Model *m, Arena *a) {
    size_t cells = ((size_t)m->height + MARGIN) * m->row;
    for (int c = 0; c < m->components; c++) {
        Component *p = &m->part[c];
        p->cells = part(a, cells, sizeof(i32));
        p->errors = part(a, cells, sizeof(i32));
        for (int i = 0; i < 2; i++) p->missed[i] = part(a, m->row, sizeof(i32));
        p->local = part(a, (size_t)m->segments * count_sums(p->features), sizeof(i64));
        p->wide = part(a, count_sums(p->features), sizeof(i64));
        p->local_weight = part(a, (size_t)m->segments * FEATURES, sizeof(i32));
        for (int i = 0; i < CONTEXTS; i++) p->table[i] = part(a, (size_t)SIZES[i] * NODES, sizeof(Counter));
        p->by_node = part(a, NODES * 2, sizeof(Mixer));
        p->by_level = part(a, LEVELS * KINDS, sizeof(Mixer));
    }
}

static void model_free(Model *m) {
    if (m) release(m->memory);
    free(m);
}

static Model *model_new(i32 width, i32 height, i32 components, const i32 *tops, i32 max_error) {
    Model *m = calloc(1, sizeof(Model));
    if (!m) return NULL;
    m->width = width;
    m->height = height;
    m->components = components;
    m->step = 2 * max_error + 1;
    m->segments = (width + SEGMENT - 1) / SEGMENT;
    m->row = (size_t)width + 2 * MARGIN;
    int colours = components & 1 ? components : components - 1;
    for (int c = 0; c < components; c++) {
        Component *p = &m->part[c];
        p->top = tops[c];
        p->earlier = c;
        p->later = c < colours ? colours - 1 - c : 0;
        p->features = 14 + 7 * p->earlier + 3 * p->later;
    }
    Arena arena = {NULL, 0, 0};
    parts(m, &arena);
    m->memory = arena.block = arena.overflow ? NULL : reserve(arena.used);
    if (!m->memory) {
        model_free(m);
        return NULL;
    }
    arena.used = 0;
    parts(m, &arena);
    fill_curves(&m->curves);
    for (int c = 0; c < components; c++) {
        Component *p = &m->part[c];
        for (int i = 0; i < CONTEXTS; i++) fill(p->table[i], sizeof(Counter) * NODES * (size_t)SIZES[i]);
        fill_mixers(p->by_node, sizeof(Mixer) * NODES * 2, 19660);
        fill_mixers(p->by_level, sizeof(Mixer) * LEVELS * KINDS, 19660);
        p->cells += MARGIN * m->row + MARGIN;
        p->errors += MARGIN * m->row + MARGIN;
        for (int i = 0; i < 2; i++) p->missed[i] += MARGIN;
    }
    return m;
}

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

/* ---- an image ---- */

/* Weights for the samples of a segment: from what it and those at its sides have seen, and from all. */
static INLINE void begin_segment(const Model *m, Component *p, i32 segment) {
    size_t sums = count_sums(p->features);
    const i64 *own = p->local + (size_t)segment * sums;
    i64 around[SUMS];
    for (size_t i = 0; i < sums; i++) around[i] = own[i];
    if (segment)
        for (size_t i = 0; i < sums; i++) around[i] += (own - sums)[i];
    if (segment + 1 < m->segments)
        for (size_t i = 0; i < sums; i++) around[i] += (own + sums)[i];
    improve(around, p->features, p->local_weight + (size_t)segment * FEATURES);
    improve(p->wide, p->features, p->wide_weight);
    memset(p->learned, 0, sizeof p->learned);
}

/* Repeat the last cell of a row beside it, and the first row above it. */
static void end_row(const Model *m, Component *p, i32 y) {
    size_t row = m->row;
    i32 *planes[2] = {p->cells, p->errors};
    for (int i = 0; i < 2; i++) {
        i32 *end = planes[i] + (size_t)y * row + (size_t)m->width;
        for (int j = 0; j < MARGIN; j++) end[j] = end[-1];
        for (size_t r = 1; r < MARGIN && !y; r++)
            memcpy(planes[i] - r * row - MARGIN, planes[i] - MARGIN, row * sizeof(i32));
    }
}

static INLINE void walk(Model *m, Coder *coder, int decoding) {
    size_t row = m->row;
    for (i32 y = 0; y < m->height; y++) {
        for (int c = 0; c < m->components; c++) {
            Component *p = &m->part[c];
            i32 *q = p->cells + (size_t)y * row, *e = p->errors + (size_t)y * row;
            for (int i = 1; i <= MARGIN; i++) {
                q[-i] = q[-(ptrdiff_t)row];
                e[-i] = e[-(ptrdiff_t)row];
            }
        }
        for (i32 segment = 0; segment < m->segments; segment++) {
            i32 start = segment * SEGMENT, end = at_most(start + SEGMENT, m->width);
            for (int c = 0; c < m->components && y; c++)
                if (m->part[c].top) begin_segment(m, &m->part[c], segment);
            for (i32 x = start; x < end; x++)
                for (int c = 0; c < m->components; c++) {
                    Component *p = &m->part[c];
                    if (p->top) sample(m, p, coder, decoding, x, !y, p->cells + (size_t)y * row + (size_t)x);
                }
            for (int c = 0; c < m->components && y; c++) {
                Component *p = &m->part[c];
                if (!p->top) continue;
                i64 *local = p->local + (size_t)segment * count_sums(p->features);
                add_products(p->learned, p->features, local, LOCAL_SHIFT, p->wide, WIDE_SHIFT);
            }
        }
        for (int c = 0; c < m->components; c++) end_row(m, &m->part[c], y);
    }
}

static void encode_plain(Model *m, Coder *coder) { walk(m, coder, 0); }
static void decode_plain(Model *m, Coder *coder) { walk(m, coder, 1); }

/* The same with wider vectors; the sums are exact either way. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
__attribute__((target("avx2"))) static void encode_avx2(Model *m, Coder *coder) { walk(m, coder, 0); }
__attribute__((target("avx2"))) static void decode_avx2(Model *m, Coder *coder) { walk(m, coder, 1); }

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}

static void walk_encoding(Model *m, Coder *coder) { has_avx2() ? encode_avx2(m, coder) : encode_plain(m, coder); }
static void walk_decoding(Model *m, Coder *coder) { has_avx2() ? decode_avx2(m, coder) : decode_plain(m, coder); }
#else
static void walk_encoding(Model *m, Coder *coder) { encode_plain(m, coder); }
static void walk_decoding(Model *m, Coder *coder) { decode_plain(m, coder); }
#endif

static int arguments_fit(i32 width, i32 height, i32 components, const i32 *tops, i32 max_error) {
    if (width < 1 || height < 1 || components < 1 || components > COMPONENTS) return 0;
    if (width > MOST_SIDE || height > MOST_SIDE || (i64)width * height > (i64)1 << 28) return 0;
    for (int c = 0; c < components; c++)
        if (tops[c] < 0 || tops[c] > 65535) return 0;
    return max_error >= 0 && max_error <= 32767;
}

/* The samples between an array u16 [height][width][components] and the cells. */
static void copy(const Model *m, u16 *samples, int in) {
    for (i32 y = 0; y < m->height; y++)
        for (i32 x = 0; x < m->width; x++)
            for (int c = 0; c < m->components; c++, samples++) {
                i32 *q = m->part[c].cells + (size_t)y * m->row + (size_t)x;
                if (in) *q = *samples;
                else *samples = (u16)*q;
            }
}

/* The decisions of an image, samples u16 [height][width][components], component c at most tops[c], in the order of
   decoding: *out u32 [*count], which said_wide_free releases.  Afterwards samples are those that a decoder sees. */
EXPORT int said_wide_encode(u16 *samples, i32 width, i32 height, i32 components, const i32 *tops, i32 max_error,
                            u32 **out, size_t *count) {
    if (!arguments_fit(width, height, components, tops, max_error)) return BAD_ARGUMENT;
    Model *m = model_new(width, height, components, tops, max_error);
    if (!m) return NO_MEMORY;
    copy(m, samples, 1);
    Coder coder = {0};
    walk_encoding(m, &coder);
    copy(m, samples, 0);
    model_free(m);
    if (coder.failed) {
        free(coder.out);
        return NO_MEMORY;
    }
    *out = coder.out;
    *count = coder.count;
    return DONE;
}

EXPORT void said_wide_free(u32 *decisions) { free(decisions); }

/* push_decisions() of _decisions.h. */
EXPORT size_t said_wide_push(const u32 *decisions, size_t n, u32 *words, size_t count) {
    return push_decisions(decisions, n, words, count);
}

/* The samples u16 [height][width][components] from a stack of *count words.  What is left of it stays in words, and
   *count says how much; there must be room for two words more. */
EXPORT int said_wide_decode(u32 *words, size_t *count, i32 width, i32 height, i32 components, const i32 *tops,
                            i32 max_error, u16 *samples) {
    if (!arguments_fit(width, height, components, tops, max_error)) return BAD_ARGUMENT;
    Model *m = model_new(width, height, components, tops, max_error);
    if (!m) return NO_MEMORY;
    Coder coder = {0};
    decoder_open(&coder.decoder, words, *count);
    walk_decoding(m, &coder);
    copy(m, samples, 0);
    model_free(m);
    *count = decoder_close(&coder.decoder, words);
    return DONE;
}

/* Which functions and arrays there are, and which bytes they give; wide.py refuses a library of another number. */
EXPORT int said_wide_interface(void) { return 1; }

/* Extension modules have this function, and some linkers insist on it; nothing imports this library as a module. */
EXPORT void *PyInit__wide(void) { return NULL; }
