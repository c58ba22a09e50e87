/* The C core of the coder of flat images: screenshots, drawings, maps, pixel art, scanned text.

   bitstream_spec.md defines what it computes; graphics_reference.py is the same in plain Python, and both give the
   same bytes.  Python calls it through ctypes (graphics.py), which checks every array beforehand.  No function keeps
   a pointer to an array of the caller.

   Pixels are coded in raster order by binary decisions, each under a probability of 16 bits that the coder has
   learned from the pixels before.  Hashed contexts, a match with earlier pixels and the neighbours offer colours, which
   are asked about one after another; what nobody offers is spelled out bit by bit.  Where all is flat, one decision
   covers a run.  All arithmetic is in integers; >> of a negative number rounds down, as gcc, clang and MSVC do it.

   A hostile stream decodes to some pixels: every loop is bounded by the image's size, every index by a table's. */

#include "_shared.h"

#define INPUTS 12 /* of a mixer, the constant one included */
#include "_decisions.h"

enum {
    MARGIN = 8,     /* columns repeated at both sides of a row */
    TOP = 4,        /* rows of zeros above the image */
    ORDERS = 7,     /* hashed contexts of exact neighbours */
    CANDIDATES = 4, /* colours that are asked about */
    OFFERS = 24,    /* colours that may be offered, most */
    KINDS = 3,      /* first, second and later question of a pixel */
    STATES = 256,   /* of a slot as a colour sees it */
    EXACT = 5,      /* hashed contexts of a sample's bit */
    GUESSES = 6,    /* predictions of a sample */
    SHORTEST = 16,  /* pixels of a run */
    LIKELY = 224,   /* least probability of a whole run, in 1/256 */
    LONGEST = 16,   /* log2 of the pixels of a run */
    TRUSTED = 16,   /* length from which a match may forbid a run */
    FIRST = 8,      /* length from which a match's colour is asked about first */
    MATCH_BITS = 16,
    MOST_LENGTH = 65535
};

/* The rate of a mixer's learning: from FAST to SLOW, one less every 1 << EASE decisions. */
enum { COLOUR_FAST = 140, COLOUR_SLOW = 24, BIT_FAST = 160, BIT_SLOW = 48 };

enum { COLOUR_LIMIT = 255, HASHED_LIMIT = 20, GUESS_LIMIT = 255, RUN_LIMIT = 1023 };

/* ---- the model ---- */

/* The two colours last seen in a context, or what they add to the pixel above. */
typedef struct {
    u32 colour[2];
    u16 check;
    u8 count[2];
} Slot;

typedef struct {
    u32 distance; /* cells back */
    u32 length;   /* pixels that it has predicted in a row; 0: none */
} Match;

typedef struct {
    Curves curves;
    u8 far[256]; /* level of a distance */
    i32 width, height, channels;
    size_t row; /* cells of a row */
    u32 *cells; /* [TOP + height][row] colours, channel k in bits 8 k ... */
    u32 *start; /* the first pixel's cell */
    u8 *missed[2];  /* [row]: whether the first question was answered no; this row and the one above */
    u8 *lasting;    /* [row]: rows above that have the same colour as the one above, 255 at most */
    i32 *level;     /* [width + 1]: pixels from here on where the row above is flat */
    Match *column;  /* [row] */
    Match match;
    u32 *last[2];   /* [1 << MATCH_BITS]: cells where a context was last seen */
    int slot_bits, line_bits;
    Slot *slots[ORDERS]; /* [1 << slot_bits] */
    Counter *lines; /* [1 << line_bits][16] */
    Counter answer[ORDERS][STATES][4], near[KINDS][64][8], matched[3][16][16];
    Mixer colour_a[256], colour_b[64];
    Counter guess[GUESSES][4][8][36][16];
    Mixer bit_a[256], bit_b[16];
    Counter run[LONGEST + 1][256], place[LONGEST + 1];
    int stride; /* log2 of the next run's most pixels */
    void *memory;
} Model;

static inline u32 hash(u32 h, u32 v) {
    h = (h ^ v) * 0x9E3779B1u;
    return h ^ h >> 15;
}

/* Bytewise sums and differences of colours. */
static inline u32 plus(u32 a, u32 b) { return ((a & 0x7f7f7f7f) + (b & 0x7f7f7f7f)) ^ ((a ^ b) & 0x80808080); }
static inline u32 minus(u32 a, u32 b) { return ((a | 0x80808080) - (b & 0x7f7f7f7f)) ^ ((a ^ ~b) & 0x80808080); }

/* ---- memory ---- */

static void parts(Model *m, Arena *a) {
    size_t rows = (size_t)m->height + TOP;
    m->cells = part(a, rows * m->row, sizeof(u32));
    for (int i = 0; i < 2; i++) m->missed[i] = part(a, m->row, 1);
    m->lasting = part(a, m->row, 1);
    m->level = part(a, (size_t)m->width + 1, sizeof(i32));
    m->column = part(a, m->row, sizeof(Match));
    for (int i = 0; i < 2; i++) m->last[i] = part(a, (size_t)1 << MATCH_BITS, sizeof(u32));
    for (int o = 0; o < ORDERS; o++) m->slots[o] = part(a, (size_t)1 << m->slot_bits, sizeof(Slot));
    m->lines = part(a, (size_t)16 << m->line_bits, sizeof(Counter));
}

static void fill_far(u8 *far) {
    static const u8 FAR[17] = {1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 28, 36, 48, 64, 90, 128}; /* where levels begin */
    for (int d = 0, level = 0; d < 256; d++) {
        while (level < 17 && d >= FAR[level]) level++;
        far[d] = (u8)level;
    }
}

static void model_free(Model *m) {
    if (m) release(m->memory);
    free(m);
}

static Model *model_new(i32 width, i32 height, i32 channels) {
    Model *m = calloc(1, sizeof(Model));
    if (!m) return NULL;
    m->width = width;
    m->height = height;
    m->channels = channels;
    m->row = (size_t)width + 2 * MARGIN;
    int size = log2_floor((u64)width * (u64)height);
    m->slot_bits = clamp(size + 1, 10, 17);
    m->line_bits = clamp(size, 9, 16);
    Arena arena = {NULL, 0, 0};
    parts(m, &arena);
    m->memory = arena.block = arena.overflow ? NULL : reserve(arena.used);
    if (!m->memory) {
        model_free(m);
        return NULL;
    }
    arena.used = 0;
    parts(m, &arena);
    m->start = m->cells + TOP * m->row + MARGIN;
    fill_curves(&m->curves);
    fill_far(m->far);
    fill(m->lines, (sizeof(Counter) * 16) << m->line_bits);
    fill(m->answer, sizeof m->answer);
    fill(m->near, sizeof m->near);
    fill(m->matched, sizeof m->matched);
    fill(m->guess, sizeof m->guess);
    fill(m->run, sizeof m->run);
    fill(m->place, sizeof m->place);
    fill_mixers(m->colour_a, sizeof m->colour_a, 7864);
    fill_mixers(m->colour_b, sizeof m->colour_b, 7864);
    fill_mixers(m->bit_a, sizeof m->bit_a, 7864);
    fill_mixers(m->bit_b, sizeof m->bit_b, 7864);
    m->stride = 4;
    return m;
}

/* ---- a colour spelled out ---- */

static inline int energy_level(int e) {
    return e == 0 ? 0 : e < 3 ? 1 : e < 7 ? 2 : e < 13 ? 3 : e < 25 ? 4 : e < 50 ? 5 : e < 100 ? 6 : 7;
}

/* A guess's distance from the middle of what is still possible, 0 ... 35. */
static inline int distance_level(const u8 *far, int d) { return d < 0 ? 17 - far[-d - 1] : 18 + far[d];
}

/* The 16 counters of a context; the first of them is not used. */
static inline Counter *line_of(const Model *m, u32 context, int prefix) {
    return m->lines + 16 * (size_t)(hash(context, (u32)prefix) >> (32 - m->line_bits));
}

/* The channels in their order; every sample by its bits, the highest first. */
static INLINE u32 spell(Model *m, Coder *coder, int decoding, const u32 *q, u32 colour) {
    static const u8 ORDER[2][4] = {{0, 1, 2, 3}, {1, 0, 2, 3}};
    const Curves *curves = &m->curves;
    ptrdiff_t row = (ptrdiff_t)m->row;
    u32 west = q[-1], north = q[-row], northwest = q[-row - 1], northeast = q[1 - row], above = q[1 - 2 * row];
    u32 coded = 0, result = 0;
    int before = 0, error = 0, off[GUESSES] = {0};
    for (int k = 0; k < m->channels; k++) {
        int shift = 8 * ORDER[m->channels >= 3][k];
        int w = west >> shift & 255, n = north >> shift & 255, nw = northwest >> shift & 255;
        int ne = northeast >> shift & 255, nne = above >> shift & 255;
        int more = w > n ? w : n, less = w > n ? n : w;
        int plain[GUESSES] = {nw >= more ? less : nw <= less ? more : w + n - nw, w, n, clamp(w + ne - n, 0, 255),
                              (w + n + 1) >> 1, clamp(n + ne - nne, 0, 255)};
        int guess[GUESSES];
        for (int j = 0; j < GUESSES; j++) guess[j] = clamp(plain[j] + off[j], 0, 255);
        int energy = energy_level(magnitude(w - nw) + magnitude(n - nw) + magnitude(n - ne));
        int miss = k == 0 || error == 0 ? 0 : error < 3 ? 1 : error < 9 ? 2 : 3;
        u32 key = (u32)k + 1;
        u32 context[EXACT] = {hash(key, coded), hash(hash(key + 10, coded), west), hash(hash(key + 20, coded), north),
                              hash(hash(hash(key + 30, (u32)before), (u32)w), (u32)n),
                              hash(hash(hash(hash(key + 40, coded), west), north), northeast)};
        int sample = colour >> shift & 255, prefix = 1;
        Counter *line[EXACT] = {0};
        for (int j = 0; j < EXACT; j++) FETCH(line_of(m, context[j], 1));
        for (int b = 7; b >= 0; b--) {
            if ((b & 3) == 3)
                for (int j = 0; j < EXACT; j++)
                    line[j] = line_of(m, context[j], prefix);
            int node = b > 3 ? prefix : (prefix & ((8 >> b) - 1)) | (8 >> b);
            int middle = ((prefix << 1 | 1) << b) & 255, known = 0;
            Counter *counter[EXACT + GUESSES];
            i32 input[INPUTS];
            for (int j = 0; j < EXACT; j++) {
                counter[j] = line[j] + node;
                known += (*counter[j] & 1023) > 0;
            }
            for (int j = 0; j < GUESSES; j++)
                counter[EXACT + j] =
                    &m->guess[j][k][b][distance_level(m->far, guess[j] - middle)][energy + 8 * (miss > 1)];
            for (int j = 0; j < EXACT + GUESSES; j++) input[j] = stretched(curves, *counter[j]);
            input[INPUTS - 1] = 256;
            Mixer *one = &m->bit_a[(k * 8 + b) * 8 + known], *two = &m->bit_b[k * 4 + miss];
            for (int j = 0; j < 2 * EXACT && b == 4; j++) FETCH(line_of(m, context[j >> 1], prefix << 1 | (j & 1)));
            i32 first = mix(one, input), second = mix(two, input);
            int bit = decide(coder, decoding, squashed(curves, (first + second) >> 1), sample >> b & 1);
            learn(one, input, squashed(curves, first), bit, BIT_FAST, BIT_SLOW);
            learn(two, input, squashed(curves, second), bit, BIT_FAST, BIT_SLOW);
            for (int j = 0; j < EXACT; j++) update(curves, counter[j], bit, HASHED_LIMIT);
            for (int j = 0; j < GUESSES; j++) update(curves, counter[EXACT + j], bit, GUESS_LIMIT);
            prefix = prefix << 1 | bit;
        }
        sample = prefix & 255;
        error += magnitude(sample - guess[0]);
        for (int j = 0; j < GUESSES; j++) off[j] = sample - plain[j];
        before = sample;
        coded = coded << 8 | (u32)sample;
        result |= (u32)sample << shift;
    }
    return result;
}

/* ---- a pixel ---- */

static inline Slot *find(Model *m, int order, u32 h) {
    Slot *s = &m->slots[order][h >> (32 - m->slot_bits)];
    u16 check = (u16)h | 1;
    if (s->check != check) *s = (Slot){{0, 0}, check, {0, 0}};
    return s;
}

/* What a slot says about a colour, below STATES. */
static inline int state_of(const Slot *s, u32 colour) {
    int a = s->count[0], b = s->count[1];
    if (!a) return 0;
    if (colour == s->colour[0]) return 1 + at_most(a, 15) * 4 + at_most(b, 3);
    if (b && colour == s->colour[1]) return 80 + at_most(b, 7) * 8 + at_most(a, 7);
    return 160 + at_most(a, 15) * 4 + at_most(b, 3);
}

static inline void remember(Slot *s, u32 colour) {
    u8 *n = s->count;
    if (!n[0]) {
        s->colour[0] = colour;
        n[0] = 1;
    } else if (colour == s->colour[0]) {
        if (n[0] < 255) n[0]++;
        if (n[1] > 2) n[1] = (u8)((n[1] + 1) / 2);
    } else if (n[1] && colour == s->colour[1]) {
        n[1]++;
        if (n[0] > 2) n[0] = (u8)((n[0] + 2) / 2);
        if (n[1] > n[0]) {
            u8 count = n[0];
            s->colour[1] = s->colour[0];
            s->colour[0] = colour;
            n[0] = n[1];
            n[1] = count;
        }
    } else {
        if (n[1] > 1) n[1] /= 2;
        else {
            s->colour[1] = colour;
            n[1] = 1;
        }
        if (n[0] > 2) n[0] = (u8)((n[0] + 2) / 2);
        else if (n[0] == 1) {
            s->colour[1] = s->colour[0];
            s->colour[0] = colour;
            n[1] = 1;
        }
    }
}

typedef struct {
    u32 colour[OFFERS], except;
    int count, excepting;
} Offers;

static inline void offer(Offers *o, u32 colour) {
    if (o->excepting && colour == o->except) return;
    for (int i = 0; i < o->count; i++)
        if (o->colour[i] == colour) return;
    o->colour[o->count++] = colour;
}

static inline int length_level(u32 n) {
    if (n < 8) return (int)n;
    return n < 12 ? 8 : n < 16 ? 9 : n < 24 ? 10 : n < 32 ? 11 : n < 64 ? 12 : n < 128 ? 13 : n < 400 ? 14 : 15;
}

/* Code the pixel at column x of row y; `known`: it does not have the colour to its left. */
static INLINE void pixel(Model *m, Coder *coder, int decoding, i32 x, i32 y, int known) {
    const Curves *curves = &m->curves;
    ptrdiff_t row = (ptrdiff_t)m->row;
    u32 *q = m->start + (size_t)y * m->row + (size_t)x;
    u8 *missed = m->missed[y & 1] + MARGIN + x, *missed_above = m->missed[~y & 1] + MARGIN + x;
    const u8 *lasting = m->lasting + MARGIN + x;
    Match *column = m->column + MARGIN + x;
#define AT(dx, dy) q[(dx) - (dy) * row]
    u32 w = AT(-1, 0), n = AT(0, 1), nw = AT(-1, 1), ne = AT(1, 1), ww = AT(-2, 0), nn = AT(0, 2);
    u32 h[ORDERS], h_slot[ORDERS];
    h[0] = hash(hash(1, w), n);
    h[1] = hash(hash(h[0], nw), ne);
    h[2] = hash(hash(h[1], ww), nn);
    h[3] = hash(hash(hash(hash(h[2], AT(2, 1)), AT(-2, 1)), AT(1, 2)), AT(-3, 0));
    h[3] = hash(hash(hash(hash(h[3], AT(-1, 2)), AT(0, 3)), AT(-4, 0)), AT(3, 1));
    h[3] = hash(hash(hash(hash(h[3], AT(-2, 2)), AT(2, 2)), AT(-1, 3)), AT(1, 3));
    h[3] = hash(hash(hash(hash(h[3], AT(4, 1)), AT(-3, 1)), AT(-5, 0)), AT(0, 4));
    h[4] = hash(hash(hash(hash(7, n), ne), nn), AT(1, 2));
    h[5] = hash(hash(hash(hash(hash(9, w), n), lasting[0]), lasting[-1]), lasting[1]);
    h[6] = hash(hash(hash(77, minus(w, nw)), minus(n, nw)), minus(ne, n));
#undef AT
    for (int o = 0; o < ORDERS; o++) {
        h_slot[o] = hash(h[o], (u32)o);
        FETCH(m->slots[o] + (h_slot[o] >> (32 - m->slot_bits)));
    }

    /* The match: the one that held to the left or above, else where a context was last seen. */
    u32 here = (u32)(q - m->cells), wide = h[5];
    for (int i = 2; i < 7; i++) wide = hash(wide, lasting[i]);
    wide = hash(wide, lasting[-2]);
    u32 *last = m->last[0] + (h[3] >> (32 - MATCH_BITS)), *last_wide = m->last[1] + (wide >> (32 - MATCH_BITS));
    u32 distance = 0, length = 0;
    int source = 0;
    if (m->match.length) {
        distance = m->match.distance;
        length = m->match.length;
    }
    if (column->length > length) {
        distance = column->distance;
        length = column->length;
        source = 1;
    }
    if (!length) {
        if (*last) {
            distance = here - *last;
            source = 2;
        } else if (*last_wide) {
            distance = here - *last_wide;
            source = 3;
        } else if (m->match.distance) {
            distance = m->match.distance;
            source = 4;
        }
    }
    *last = *last_wide = here;
    u32 matched = distance ? q[-(ptrdiff_t)distance] : 0;
    int level = distance ? length_level(length) : 0;

    Slot *slot[ORDERS];
    for (int o = 0; o < ORDERS; o++) slot[o] = find(m, o, h_slot[o]);

    Offers offers;
    offers.count = 0;
    offers.excepting = known;
    offers.except = w;
    int filled = 0;
    if (distance && length >= FIRST) offer(&offers, matched);
    for (int o = 3; o >= 0; o--) {
        if (slot[o]->count[0]) {
            filled++;
            offer(&offers, slot[o]->colour[0]);
        }
    }
    for (int o = 4; o < 6; o++) {
        if (slot[o]->count[0]) {
            filled++;
            if (o == 4) offer(&offers, slot[o]->colour[0]);
        }
    }
    if (distance && length < FIRST) offer(&offers, matched);
    if (slot[6]->count[0]) offer(&offers, plus(n, slot[6]->colour[0]));
    offer(&offers, w);
    offer(&offers, n);
    offer(&offers, ne);
    offer(&offers, nw);
    for (int o = 3; o >= 0; o--)
        if (slot[o]->count[1]) offer(&offers, slot[o]->colour[1]);
    if (offers.count > CANDIDATES) offers.count = CANDIDATES;

    int around = missed[-1] | missed_above[0] << 1 | missed_above[1] << 2;
    u32 target = decoding ? 0 : *q, colour = 0;
    int asked = 0, found = 0;
    while (asked < offers.count && !found) {
        u32 v = offers.colour[asked], relative = minus(v, n);
        int kind = at_most(asked, KINDS - 1);
        int same = (v == w) | (v == n) << 1 | (v == nw) << 2 | (v == ne) << 3 | (v == ww) << 4 | (v == nn) << 5;
        int by_match = distance ? 1 + (v == matched) : 0;
        Counter *counter[ORDERS + 2];
        i32 input[INPUTS] = {0};
        for (int o = 0; o < ORDERS; o++)
            counter[o] = &m->answer[o][state_of(slot[o], o == 6 ? relative : v)][kind];
        counter[ORDERS] = &m->near[kind][same][around];
        counter[ORDERS + 1] = &m->matched[by_match][level][source * 3 + kind];
        for (int i = 0; i < ORDERS + 2; i++) input[i] = stretched(curves, *counter[i]);
        input[INPUTS - 1] = 256;
        int trust = by_match + (by_match == 2 && length > 15);
        Mixer *one = &m->colour_a[(kind * 8 + filled) * 4 + trust], *two = &m->colour_b[asked * 8 + around];
        i32 first = mix(one, input), second = mix(two, input);
        found = decide(coder, decoding, squashed(curves, (first + second) >> 1), v == target);
        learn(one, input, squashed(curves, first), found, COLOUR_FAST, COLOUR_SLOW);
        learn(two, input, squashed(curves, second), found, COLOUR_FAST, COLOUR_SLOW);
        for (int i = 0; i < ORDERS + 2; i++) update(curves, counter[i], found, COLOUR_LIMIT);
        colour = v;
        asked++;
    }
    *missed = !(found && asked == 1);
    if (!found) colour = spell(m, coder, decoding, q, target);
    *q = colour;

    u32 relative = minus(colour, n);
    for (int o = 0; o < ORDERS; o++) remember(slot[o], o == 6 ? relative : colour);
    if (distance) {
        m->match.distance = distance;
        m->match.length = matched != colour ? 0 : length < MOST_LENGTH ? length + 1 : length;
        *column = m->match;
    }
}

/* ---- runs ---- */

/* What has become of runs of this length below as long a stretch of one colour. */
static inline Counter *run_counter(Model *m, i32 x, i32 length) {
    return &m->run[log2_floor((u64)length)][m->lasting[MARGIN + x]];
}

/* Whether a match expects another colour than that of the run from q on at its pixel i. */
static inline int objects(const Match *match, const u32 *q, i32 i) {
    return match->length >= TRUSTED && (u32)i < match->distance && q[i - (ptrdiff_t)match->distance] != q[-1];
}

/* Pixels from column x on that one decision covers, or 0. */
static inline i32 run_length(Model *m, i32 x, i32 y) {
    const u32 *q = m->start + (size_t)y * m->row + (size_t)x;
    ptrdiff_t row = (ptrdiff_t)m->row;
    i32 length = m->level[x];
    if (length < SHORTEST || q[-1] != q[-row] || q[-2] != q[-1] || q[-row - 1] != q[-1]) return 0;
    if (length > 1 << m->stride) length = 1 << m->stride;
    Counter *counter = run_counter(m, x, length);
    if (*counter >> 24 < LIKELY) {
        update(&m->curves, counter, 1, RUN_LIMIT);
        return 0;
    }
    const u8 *lasting = m->lasting + MARGIN + x;
    const Match *column = m->column + MARGIN + x;
    for (i32 i = 0; i < length; i++)
        if (lasting[i] != lasting[0] || objects(&m->match, q, i) || objects(column + i, q, i))
            return i < SHORTEST ? 0 : i;
    return length;
}

/* Code a run of at most `length` pixels of the colour to the left; returns how many there are. */
static INLINE i32 run(Model *m, Coder *coder, int decoding, i32 x, i32 y, i32 length) {
    const Curves *curves = &m->curves;
    Counter *counter = run_counter(m, x, length);
    u32 *q = m->start + (size_t)y * m->row + (size_t)x, colour = q[-1];
    u8 *missed = m->missed[y & 1] + MARGIN + x;
    i32 true_length = 0;
    if (!decoding)
        while (true_length < length && q[true_length] == colour) true_length++;
    u32 p = *counter >> 16;
    int whole = decide(coder, decoding, p ? p : 1, true_length == length);
    update(curves, counter, whole, RUN_LIMIT);
    i32 low = 0, high = length; /* the end lies in low ... high - 1 */
    if (whole) {
        low = length;
        if (m->stride < LONGEST) m->stride++;
    } else {
        while (high - low > 1) {
            Counter *side = &m->place[log2_floor((u64)(high - low))];
            i32 middle = low + (high - low) / 2;
            p = *side >> 16;
            int later = decide(coder, decoding, p ? p : 1, true_length >= middle);
            update(curves, side, later, RUN_LIMIT);
            if (later) low = middle;
            else high = middle;
        }
        if (m->stride > 5) m->stride -= 2;
        else m->stride = 4;
    }
    if (decoding)
        for (i32 i = 0; i < low; i++) q[i] = colour;
    for (i32 i = 0; i < low; i++) missed[i] = 0;
    return low;
}

/* ---- an image ---- */

static void begin_row(Model *m, i32 y) {
    u32 *q = m->start + (size_t)y * m->row, *above = q - m->row;
    for (int i = 1; i <= MARGIN; i++) q[-i] = above[0];
    i32 flat = 0;
    for (i32 x = m->width - 1; x >= 0; x--) {
        flat = above[x] == above[x + 1] ? flat + 1 : 0;
        m->level[x] = flat;
    }
}

static void end_row(Model *m, i32 y) {
    u32 *q = m->start + (size_t)y * m->row, *above = q - m->row;
    u8 *lasting = m->lasting + MARGIN;
    for (int i = 0; i < MARGIN; i++) q[m->width + i] = q[m->width - 1];
    for (i32 x = 0; x < m->width; x++)
        lasting[x] = q[x] != above[x] ? 0 : lasting[x] < 255 ? (u8)(lasting[x] + 1) : 255;
    for (int i = 1; i <= MARGIN; i++) {
        lasting[-i] = lasting[0];
        lasting[m->width - 1 + i] = lasting[m->width - 1];
    }
}

static INLINE void walk(Model *m, Coder *coder, int decoding) {
    for (i32 y = 0; y < m->height; y++) {
        begin_row(m, y);
        for (i32 x = 0; x < m->width;) {
            i32 length = run_length(m, x, y), covered = length ? run(m, coder, decoding, x, y, length) : 0;
            x += covered;
            if (covered < length || !length) pixel(m, coder, decoding, x++, y, length > 0);
        }
        end_row(m, y);
    }
}

static void encode_plain(Model *m, Coder *coder) { walk(m, coder, 0); }
static void decode_plain(Model *m, Coder *coder) { walk(m, coder, 1); }

/* The same with a vector product of 32-bit integers, which SSE2 lacks; the sums are exact either way. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
__attribute__((target("sse4.1"))) static void encode_sse4(Model *m, Coder *coder) { walk(m, coder, 0); }
__attribute__((target("sse4.1"))) static void decode_sse4(Model *m, Coder *coder) { walk(m, coder, 1); }

static int has_sse4(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.1") != 0;
}

static void walk_encoding(Model *m, Coder *coder) { has_sse4() ? encode_sse4(m, coder) : encode_plain(m, coder); }
static void walk_decoding(Model *m, Coder *coder) { has_sse4() ? decode_sse4(m, coder) : decode_plain(m, coder); }
#else
static void walk_encoding(Model *m, Coder *coder) { encode_plain(m, coder); }
static void walk_decoding(Model *m, Coder *coder) { decode_plain(m, coder); }
#endif

static int sizes_fit(i32 width, i32 height, i32 channels) {
    return width >= 1 && height >= 1 && channels >= 1 && channels <= 4 && (i64)width * height <= (i64)1 << 28;
}

/* The decisions of an image, pixels u8 [height][width][channels], in the order of decoding: *out u32 [*count], which
   said_graphics_free releases. */
EXPORT int said_graphics_encode(const u8 *pixels, i32 width, i32 height, i32 channels, u32 **out, size_t *count) {
    if (!sizes_fit(width, height, channels)) return BAD_ARGUMENT;
    Model *m = model_new(width, height, channels);
    if (!m) return NO_MEMORY;
    for (i32 y = 0; y < height; y++) {
        u32 *q = m->start + (size_t)y * m->row;
        for (i32 x = 0; x < width; x++)
            for (int k = 0; k < channels; k++) q[x] |= (u32)*pixels++ << 8 * k;
    }
    Coder coder = {0};
    walk_encoding(m, &coder);
    model_free(m);
    return hand_over(&coder, out, count);
}

EXPORT void said_graphics_free(u32 *decisions) { free(decisions); }

/* push_decisions() of _decisions.h. */
EXPORT size_t said_graphics_push(const u32 *decisions, size_t n, u32 *words, size_t count) {
    return push_decisions(decisions, n, words, count);
}

/* The pixels u8 [height][width][channels] from a stack of *count words.  What is left of it stays in words, and
   *count says how much; there must be room for two words more. */
EXPORT int said_graphics_decode(u32 *words, size_t *count, i32 width, i32 height, i32 channels, u8 *pixels) {
    if (!sizes_fit(width, height, channels)) return BAD_ARGUMENT;
    Model *m = model_new(width, height, channels);
    if (!m) return NO_MEMORY;
    Coder coder = {0};
    decoder_open(&coder.decoder, words, *count);
    walk_decoding(m, &coder);
    for (i32 y = 0; y < height; y++) {
        const u32 *q = m->start + (size_t)y * m->row;
        for (i32 x = 0; x < width; x++)
            for (int k = 0; k < channels; k++) *pixels++ = (u8)(q[x] >> 8 * k);
    }
    model_free(m);
    *count = decoder_close(&coder.decoder, words);
    return DONE;
}

/* Which functions and arrays there are, and which bytes they give; graphics.py refuses a library of another number. */
EXPORT int said_graphics_interface(void) { return 1; }

/* Extension modules have this function, and some linkers insist on it; nothing imports this library as a module. */
EXPORT void *PyInit__graphics(void) { return NULL; }
