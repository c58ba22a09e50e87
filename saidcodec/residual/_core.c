/* The C core of the residual engine: contexts, integer network, choice of tables, and the ANS coder of one plane.

   bitstream_spec.md, sections 3, 5, 6 and 7, defines what it computes; reference.py is the same in NumPy, and both
   give the same bytes.  Python calls it through ctypes (core.py), which checks every array beforehand; all that
   comes from a file is checked here.  No function keeps a pointer to an array of the caller.

   Samples ride in the lanes of vectors.  The activations of BATCH samples lie as [group of 4 channels][sample][4
   bytes], so that one 32-bit word of weights serves all samples, and a layer's output is the next one's input.

   _walk.h is compiled once for every instruction set; said_select() takes the best that the processor has. */

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define ON_X86 1
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__GNUC__) && defined(__aarch64__)
#define ON_ARM 1
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

typedef uint8_t u8;
typedef int8_t i8;
typedef int16_t i16;
typedef uint16_t u16;
typedef int32_t i32;
typedef uint32_t u32;
typedef int64_t i64;
typedef uint64_t u64;

enum {
    BATCH = 32,       /* samples that go through the network together */
    GROUP = 4 * BATCH, /* bytes of one group of 4 channels */
    ROWS = 324,       /* mixture tables */
    COPIES = 49,      /* tables of a question */
    SYMBOLS = 1021,   /* symbols of a mixture table */
    SYMBOL_BITS = 10, /* a coded symbol is table << SYMBOL_BITS | symbol */
    WIDE = 1 << SYMBOL_BITS,
    REACH = 510,
    PRECISION = 24,
    LOOK_BITS = 9, /* leading bits of the state's low part that index the first look-up */
    SCALES = 44,
    TAILS = 4,
    FRACTIONS = 16,
    NEAR = 20,     /* the reference and the window */
    REACH_X = 3,   /* columns that a window reaches to each side */
    REACH_Y = 3,   /* rows that it reaches upwards */
    FARTHEST = 2,  /* samples that the network looks around in the reconstruction */
    MOST_AROUND = 512,
    MOST_WIDTH = 512, /* outputs of a layer */
    MOST_TRUNK = 16,
    MOST_STYLES = 8,
    MOST_COPIES = NEAR,
    FIELDS = MOST_COPIES + 3,
    NO_RECONSTRUCTION = -32768,
    TOGETHER = 512, /* samples in a list where all are known */
    ALIGNMENT = 64
};

enum { DONE = 0, NO_MEMORY = 1, IMPOSSIBLE_SAMPLE = 2, BAD_ARGUMENT = 3 };
enum { ENCODE = 0, DECODE = 1, MEASURE = 2 };

static const u32 NOT_CODED = 0xffffffffu;

/* The window in the order of the specification (section 6.3), the reference before it. */
static const i8 NEAR_X[NEAR] = {-1, -2, -3, -3, -2, -1, 0, 1, -3, -2, -1, 0, 1, 2, 3, -2, -1, 0, 1, 2};
static const i8 NEAR_Y[NEAR] = {0, 0, 0, -1, -1, -1, -1, -1, -2, -2, -2, -2, -2, -2, -2, -3, -3, -3, -3, -3};

/* 32 widths of a scale's core in sixteenths of a sample value, by the scale's part of an octave (section 6.5). */
static const i8 WIDTH_FACTOR[4] = {23, 19, 16, 13};

/* ---- adaptation (section 6.9) ---- */

enum {
    CLOSE = 6, /* neighbours whose errors of all components are features, and whose values are */
    FAR = 5,   /* neighbours whose errors of the own component are */
    FEATURES = 3 * CLOSE + FAR + CLOSE + 2 + 1,
    LEVELS = 8, /* of the errors around */
    PERIOD = 512, /* samples after which the weights are solved for */
    RIDGE = 4096,
    MOST_ERROR = 2047, /* sixteenths */
    RING = 8, /* errors of a row that are kept: those of the last 6 samples are read */
    OUTSIDE = INT16_MIN
};
static const i8 CLOSE_X[CLOSE] = {-1, 0, -1, 1, -2, 0}, CLOSE_Y[CLOSE] = {0, -1, -1, -1, 0, -2};
static const i8 FAR_X[FAR] = {-2, 1, -1, 2, -2}, FAR_Y[FAR] = {-1, -2, -2, -2, -2};
static const i8 ENERGY_WEIGHT[CLOSE] = {2, 2, 1, 1, 1, 1};
static const i8 LEVEL_EDGE[LEVELS - 1] = {6, 10, 16, 24, 34, 48, 72};
/* 2^15 times a quarter of what turns sixteenths of a sample value into 32nds of a scale's core width. */
static const u16 FEATURE_FACTOR[SCALES] = {
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 27554, 23170, 19484, 16384, 13777, 11585, 9742, 8192, 6889,
    5793, 4871, 4096, 3444, 2896, 2435, 2048, 1722, 1448, 1218, 1024, 861, 724, 609, 512, 431,
    362, 304, 256, 215, 181, 152, 128, 108, 91, 76, 64, 54,
};

/* 2^17 times the way back, from 32nds of the core's width in 2^-5 to sixteenths, for the scales 0 to 3. */
static const i16 WIDTH[4] = {181, 215, 256, 304};

/* Errors of a sample in sixteenths: the network's, and what is left after its correction. */
typedef struct {
    i16 network[4], corrected[4];
} Errors;

/* What is added to a scale index, in 2^-16, and how many samples it was learnt from, at most 256. */
typedef struct {
    i32 scale, seen;
} Shift;

typedef struct {
    i32 weight[3][FEATURES];            /* 1 is 2^14 */
    i64 products[3][FEATURES + 1][FEATURES]; /* of features k and j where j <= k; the goal's are the last row */
    Shift shift[3][SCALES][LEVELS];
} Adaptive;

/* ---- memory ---- */

/* Zeroed memory at a multiple of ALIGNMENT, released with release(). */
static void *reserve(size_t size) {
    if (size > SIZE_MAX - 2 * ALIGNMENT) return NULL;
    u8 *block = calloc(size + 2 * ALIGNMENT, 1);
    if (!block) return NULL;
    u8 *start = (u8 *)(((uintptr_t)block + sizeof(void *) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
    memcpy(start - sizeof(void *), &block, sizeof(void *));
    return start;
}

static void release(void *start) {
    void *block;
    if (!start) return;
    memcpy(&block, (u8 *)start - sizeof(void *), sizeof(void *));
    free(block);
}

/* ---- the bank of tables (section 7) ---- */

/* Where a fraction of the mean, a scale and a tail lead: row, whether it is mirrored, what to add to the centre. */
typedef struct {
    u16 row;
    i8 sign;
    i8 carry;
} Choice;

/* Table t has the cumulative frequencies cumulative[t][0 ...], 2^24 from its last symbol's end on. */
typedef struct {
    u32 cumulative[ROWS + COPIES][WIDE];
    u16 first[ROWS][1 << LOOK_BITS]; /* the symbol that holds the lowest value with these leading bits */
    u32 lengths[ROWS + COPIES][WIDE]; /* bits in 2^-16 bit */
    Choice choice[SCALES * TAILS * FRACTIONS];
} Bank;

static void fill_cumulative(u32 *row, const i32 *frequency, int n) {
    u32 sum = 0;
    for (int s = 0; s < WIDE; s++) {
        row[s] = sum;
        if (s < n) sum += (u32)frequency[s];
    }
}

/* Bits of a symbol of this frequency in 2^-16 bit (section 7.2). */
static u32 length_of(u32 frequency) {
    int whole = 0;
    while (frequency >> whole > 1) whole++;
    u64 z = (u64)frequency << (31 - whole);
    u32 fraction = 0;
    for (int i = 0; i < 16; i++) {
        z = z * z >> 31;
        u32 bit = (u32)(z >> 32);
        z >>= bit;
        fraction = fraction << 1 | bit;
    }
    return ((u32)(PRECISION - whole) << 16) - fraction;
}

/* Fill in the code lengths, without which a plane can be coded, but neither measured nor coded with adaptation. */
EXPORT void said_bank_measure(Bank *bank) {
    for (int t = 0; t < ROWS + COPIES; t++)
        for (int s = 0; s < (t < ROWS ? SYMBOLS : 2); s++)
            bank->lengths[t][s] = length_of(bank->cumulative[t][s + 1] - bank->cumulative[t][s]);
}

/* mixture i32 [ROWS][SYMBOLS], copy i32 [COPIES][2], row, sign and carry i32 [SCALES * TAILS * FRACTIONS]; NULL if
   there is no memory. */
EXPORT Bank *said_bank_new(const i32 *mixture, const i32 *copy, const i32 *row, const i32 *sign, const i32 *carry) {
    Bank *bank = reserve(sizeof(Bank));
    if (!bank) return NULL;
    for (int t = 0; t < ROWS; t++) {
        fill_cumulative(bank->cumulative[t], mixture + t * SYMBOLS, SYMBOLS);
        for (u32 i = 0, s = 0; i < 1u << LOOK_BITS; i++) {
            while (bank->cumulative[t][s + 1] <= i << (PRECISION - LOOK_BITS)) s++;
            bank->first[t][i] = (u16)s;
        }
    }
    for (int t = 0; t < COPIES; t++) fill_cumulative(bank->cumulative[ROWS + t], copy + 2 * t, 2);
    for (int i = 0; i < SCALES * TAILS * FRACTIONS; i++)
        bank->choice[i] = (Choice){(u16)row[i], (i8)sign[i], (i8)carry[i]};
    return bank;
}

EXPORT void said_bank_free(Bank *bank) { release(bank); }

/* ---- the coder (section 3) ---- */

typedef struct {
    u64 state;
    const u32 *words;
    size_t count; /* words left below the state */
} Decoder;

static void decoder_open(Decoder *d, const u32 *words, size_t count) {
    d->state = 0;
    for (int i = 0; i < 2 && count; i++) d->state = d->state << 32 | words[--count];
    d->words = words;
    d->count = count;
}

/* Words that hold the state and what lies below it; `out` has room for two words more than are left below. */
static size_t decoder_close(const Decoder *d, u32 *out) {
    size_t n = d->count;
    if (n) memmove(out, d->words, 4 * n);
    for (u64 state = d->state; state; state >>= 32) out[n++] = (u32)state;
    return n;
}

static inline void advance(Decoder *d, u32 low, u32 start, u32 end) {
    d->state = (d->state >> PRECISION) * (end - start) + (low - start);
    if (d->state >> 32 == 0 && d->count) d->state = d->state << 32 | d->words[--d->count];
}

static inline int take_mixture(Decoder *d, const Bank *bank, int row) {
    u32 low = (u32)d->state & ((1u << PRECISION) - 1);
    const u32 *cumulative = bank->cumulative[row];
    int s = bank->first[row][low >> (PRECISION - LOOK_BITS)];
    while (cumulative[s + 1] <= low) s++;
    advance(d, low, cumulative[s], cumulative[s + 1]);
    return s;
}

static inline int take_copy(Decoder *d, const Bank *bank, int index) {
    u32 low = (u32)d->state & ((1u << PRECISION) - 1), no = bank->cumulative[ROWS + index][1];
    int yes = low >= no;
    advance(d, low, yes ? no : 0, yes ? 1u << PRECISION : no);
    return yes;
}

/* Push the symbols u32 [n] (table << SYMBOL_BITS | symbol), the last one first, on the stack of `count` words that
   `words` holds; it has room for count + n + 2.  Returns the number of words, 0 also for an empty stack;
   SIZE_MAX if a symbol does not exist. */
EXPORT size_t said_push(const Bank *bank, const u32 *symbols, size_t n, u32 *words, size_t count) {
    u64 state = 0;
    for (int i = 0; i < 2 && count; i++) state = state << 32 | words[--count];
    while (n) {
        u32 symbol = symbols[--n], table = symbol >> SYMBOL_BITS, s = symbol & (WIDE - 1);
        if (table >= ROWS + COPIES || s >= (table < ROWS ? SYMBOLS : 2)) return SIZE_MAX;
        u32 start = bank->cumulative[table][s], frequency = bank->cumulative[table][s + 1] - start;
        if (state >> (64 - PRECISION) >= frequency) {
            words[count++] = (u32)state;
            state >>= 32;
        }
        state = (state / frequency << PRECISION) + start + state % frequency;
    }
    for (; state; state >>= 32) words[count++] = (u32)state;
    return count;
}

/* ---- the network (sections 5 and 6) ---- */

/* A dense layer for the kernels: outputs in quads, weights [quad][group of 4 inputs][output][input]. */
typedef struct {
    int groups, quads;      /* inputs and outputs in fours, rounded up; quads is even */
    i8 *weight;
    i32 *bias;              /* [4 * quads] */
    i32 *style_bias;        /* [4 * quads][MOST_STYLES], or NULL: bias with the style's inputs added */
    i32 *shift;             /* [4 * quads] */
    float *scale;           /* 2^-shift, exact */
    i32 *offset;            /* 128 times the sum of an output's weights, for signed inputs */
    u8 *depth;              /* [quads]: groups whose sums of products stay within 16 bits together: 1, 2 or 4 */
} Layer;

typedef struct {
    int trunk_layers, hidden_groups;
    int around, styles, positions, copies, surprises;
    int input_groups, around_at, luma_at;
    i8 around_x[MOST_AROUND], around_y[MOST_AROUND];
    u8 origin[NEAR], copy[MOST_COPIES];
    Layer trunk[MOST_TRUNK], head_y, hidden_chroma[2], head_chroma[2], head_copy;
} Network;

/* What Python hands over: weight i8 [in][out], bias i32 [out], shift i32 [out]. */
typedef struct {
    const i8 *weight;
    const i32 *bias;
    const i32 *shift;
    i32 inputs, outputs;
} RawLayer;

static void layer_free(Layer *l) {
    release(l->weight);
    release(l->bias);
    release(l->style_bias);
    release(l->shift);
    release(l->scale);
    release(l->offset);
    release(l->depth);
}

/* Whether sums of products of `depth` groups stay within 16 bits in each half of maddubs' pairs. */
static int fits(const Layer *l, int quad, int depth) {
    for (int output = 0; output < 4; output++) {
        for (int k = 0; k < l->groups; k += depth) {
            i32 positive[2] = {0, 0}, negative[2] = {0, 0};
            for (int g = k; g < k + depth && g < l->groups; g++) {
                for (int j = 0; j < 4; j++) {
                    i32 w = l->weight[(((size_t)quad * l->groups + g) * 4 + output) * 4 + j];
                    if (w > 0) positive[j / 2] += 255 * w;
                    else negative[j / 2] -= 255 * w;
                }
            }
            for (int half = 0; half < 2; half++)
                if (positive[half] > INT16_MAX || negative[half] > -(i32)INT16_MIN) return 0;
        }
    }
    return 1;
}

/* Lay a layer out.  `source` i32 [inputs]: which of the raw layer's inputs each of ours is, or -1 for none. */
static int layer_pack(Layer *l, const RawLayer *raw, const i32 *source, int inputs) {
    l->groups = (inputs + 3) / 4;
    l->quads = (raw->outputs + 7) / 8 * 2;
    size_t outputs = 4 * (size_t)l->quads;
    l->weight = reserve((size_t)l->groups * outputs * 4 + ALIGNMENT);
    l->bias = reserve(4 * outputs);
    l->shift = reserve(4 * outputs);
    l->scale = reserve(4 * outputs);
    l->offset = reserve(4 * outputs);
    l->depth = reserve((size_t)l->quads);
    if (!l->weight || !l->bias || !l->shift || !l->scale || !l->offset || !l->depth) return NO_MEMORY;
    for (int o = 0; o < (int)outputs; o++) {
        l->scale[o] = 1.0f;
        if (o >= raw->outputs) continue;
        l->bias[o] = raw->bias[o];
        l->shift[o] = raw->shift[o];
        l->scale[o] = 1.0f / (float)(1 << raw->shift[o]);
        for (int i = 0; i < inputs; i++) {
            if (source[i] < 0) continue;
            i8 w = raw->weight[(size_t)source[i] * raw->outputs + o];
            l->weight[(((size_t)(o / 4) * l->groups + i / 4) * 4 + o % 4) * 4 + i % 4] = w;
            l->offset[o] += 128 * w;
        }
    }
    for (int q = 0; q < l->quads; q++) l->depth[q] = (u8)(fits(l, q, 4) ? 4 : fits(l, q, 2) ? 2 : 1);
    return DONE;
}

EXPORT void said_network_free(Network *n) {
    if (!n) return;
    for (int i = 0; i < n->trunk_layers; i++) layer_free(&n->trunk[i]);
    layer_free(&n->head_y);
    layer_free(&n->head_copy);
    for (int c = 0; c < 2; c++) {
        layer_free(&n->hidden_chroma[c]);
        layer_free(&n->head_chroma[c]);
    }
    release(n);
}

/* The first layer: the style's inputs are constant in a tile and become a bias of each style. */
static int pack_first(Network *n, const RawLayer *raw, int mark) {
    i32 source[3 * (NEAR - 1) + 3 + 3 * MOST_AROUND + NEAR + 4 + 3];
    int at = 0, window = 3 * (NEAR - 1), around = 3 * n->around, lumas = n->copies ? NEAR + 1 : 0;
    for (int i = 0; i < window; i++) source[at++] = i;
    for (int i = 0; i < 3; i++) source[at++] = window + around + i; /* flag, x, y */
    n->around_at = at;
    for (int i = 0; i < around; i++) source[at++] = window + i;
    n->luma_at = at;
    for (int i = 0; i < lumas; i++) source[at++] = window + around + 3 + i;
    n->input_groups = (at + 3) / 4;
    int status = layer_pack(&n->trunk[0], raw, source, at);
    if (status) return status;
    Layer *l = &n->trunk[0];
    l->style_bias = reserve(4 * (size_t)l->quads * MOST_STYLES * sizeof(i32));
    if (!l->style_bias) return NO_MEMORY;
    for (int o = 0; o < raw->outputs; o++) {
        for (int style = 0; style < MOST_STYLES; style++) {
            i32 sum = raw->bias[o];
            for (int s = 0; s < n->styles; s++)
                sum += (128 + (s == style ? mark : 0)) * raw->weight[(size_t)(at + s) * raw->outputs + o];
            l->style_bias[o * MOST_STYLES + style] = sum;
        }
    }
    return DONE;
}

/* layers: the trunk's, head_y, hidden and head of Co, hidden and head of Cg, and head_copy if copies > 0.
   around i8 [around][2]; origins and copy_of i32: numbers of the reference (0) and the window (1 ...).
   Python has checked that all shapes and values obey the specification.  NULL if there is no memory. */
EXPORT Network *said_network_new(const RawLayer *layers, i32 trunk_layers, i32 around, const i8 *around_offsets,
                                 const i32 *origins, i32 copies, const i32 *copy_of, i32 styles, i32 positions,
                                 i32 mark) {
    if (trunk_layers < 1 || trunk_layers > MOST_TRUNK || around < 0 || around > MOST_AROUND || copies < 0 ||
        copies > MOST_COPIES || styles < 1 || styles > MOST_STYLES)
        return NULL;
    Network *n = reserve(sizeof(Network));
    if (!n) return NULL;
    n->trunk_layers = trunk_layers;
    n->around = around;
    n->styles = styles;
    n->positions = positions;
    n->copies = copies;
    for (int i = 0; i < around; i++) {
        n->around_x[i] = around_offsets[2 * i];
        n->around_y[i] = around_offsets[2 * i + 1];
    }
    for (int i = 1; i < NEAR; i++) n->origin[i] = (u8)origins[i - 1];
    for (int i = 0; i < copies; i++) n->copy[i] = (u8)copy_of[i];

    i32 source[MOST_WIDTH + 16];
    for (int i = 0; i < MOST_WIDTH; i++) source[i] = i;
    int status = pack_first(n, &layers[0], mark);
    for (int i = 1; i < trunk_layers && !status; i++)
        status = layer_pack(&n->trunk[i], &layers[i], source, layers[i].inputs);
    int hidden = layers[trunk_layers - 1].outputs, clues = copies ? 3 : 0;
    n->hidden_groups = (hidden + 3) / 4;
    n->surprises = layers[trunk_layers + 3].inputs - layers[trunk_layers + 1].inputs;
    if (!status) status = layer_pack(&n->head_y, &layers[trunk_layers], source, hidden);
    for (int c = 0; c < 2 && !status; c++) {
        const RawLayer *pair = &layers[trunk_layers + 1 + 2 * c];
        status = layer_pack(&n->head_chroma[c], &pair[1], source, pair[1].inputs);
        /* What is known beside the hidden activations has groups of its own: what Y tells, what Co tells, the clues. */
        i32 apart[MOST_WIDTH + 16];
        int at = 0, from = hidden;
        for (; at < 4 * n->hidden_groups; at++) apart[at] = at < hidden ? at : -1;
        for (int part = 0; part < 3; part++) {
            int present = part > c && part < 2 ? 0 : part < 2 ? n->surprises : clues;
            for (int j = 0; j < 4; j++) apart[at++] = j < present ? from++ : -1;
        }
        if (!status) status = layer_pack(&n->hidden_chroma[c], &pair[0], apart, at);
    }
    if (copies && !status) status = layer_pack(&n->head_copy, &layers[trunk_layers + 5], source, hidden);
    if (status) {
        said_network_free(n);
        return NULL;
    }
    return n;
}

/* ---- planes ---- */

typedef struct {
    i16 at[4]; /* Y, Co, Cg and an idle lane */
} Cell;

/* One plane, as in engine.py; core.py fills it in. */
typedef struct {
    i32 width, height, components;
    i16 *samples;              /* [height][width][components] */
    const u8 *coded;           /* [height][width] */
    const u8 *styles;          /* [height][width] */
    const i16 *reconstruction; /* [height][width][3] or NULL */
    i32 errors[3];
    i32 adaptive;              /* whether the plane is coded with adaptation (section 6.9) */
} Plane;

/* A sample that is being coded. */
typedef struct {
    i32 x, y;
    size_t cell;
} Place;

typedef struct {
    const Network *network;
    const Bank *bank;
    const Plane *plane;
    int mode, most; /* most: places in a list */
    Cell *cells;    /* [height][row_cells], the samples with REACH_X columns repeated at both sides */
    Cell *seen;     /* the reconstruction, FARTHEST samples repeated around; NULL if there is none */
    u8 *changed;    /* laid out as `seen`: what differs from the plane's reconstruction; only for said_compare */
    size_t row_cells, seen_row;
    ptrdiff_t near_at[NEAR]; /* offsets in cells */
    ptrdiff_t around_at[MOST_AROUND];
    u8 *across, *down;       /* the inputs of x and y */
    Place *places;           /* [most] */
    i32 *style;              /* [most + BATCH] */
    Cell *near;              /* [most + BATCH][NEAR] if the model copies, else [BATCH][NEAR] */
    i32 *value[3], *reference[3], *start[3]; /* [most + BATCH] */
    i32 *mean[3], *coded_mean[3];   /* the network's, and what samples are coded with */
    u32 *choice[3], *coded_choice[3];
    Adaptive *adaptive;      /* NULL without adaptation, as all that follows */
    Errors *errors;          /* [REACH_Y + height][error_row], sample x at (x + REACH_X) & error_mask */
    size_t error_row, error_mask;
    ptrdiff_t close_at[CLOSE]; /* offsets in cells */
    int learners;            /* active samples of the step, numbered anew */
    i32 *learner;            /* [most + BATCH]: which places they are */
    i16 *shared, *beside[3]; /* [3 * CLOSE] and [CLOSE][most + BATCH]: errors and values around */
    int waiting;             /* samples since the weights were solved for; their features wait */
    i16 *feature[3];         /* [FEATURES + 4][most + PERIOD + BATCH]: then the goal and spare rows */
    /* [most + BATCH] of every component: the network's mean, what is coded with, the sample, the network's scale, the
       feature factor, the energy and the level of the errors around. */
    i16 *learner_mean[3], *learner_coded[3], *learner_value[3], *factor[3];
    u8 *learner_scale[3], *level[3];
    i32 *energy[3], *sum;
    u8 *active;              /* whether the components are coded */
    u8 *logit;               /* [MOST_COPIES][most + BATCH] */
    u32 *symbol;             /* [FIELDS][most + BATCH], NOT_CODED where a field is not coded */
    u32 *bits;               /* [most + BATCH] */
    u8 *hidden;              /* [batches][hidden_groups + 3] groups */
    u8 *scratch[2];
    i32 *raw;                /* [outputs of a head][BATCH] */
    Decoder decoder;
    void *memory;
} Walk;

static inline Cell *cell_of(const Walk *w, i32 x, i32 y) {
    return w->cells + (size_t)y * w->row_cells + (size_t)(x + REACH_X);
}

static inline i32 clamp(i32 v, i32 low, i32 high) { return v < low ? low : v > high ? high : v; }

static inline i32 floor_div(i32 a, i32 b) { /* b > 0 */
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* Repeat the first and the last sample of a row beside it. */
static void pad_row(const Walk *w, i32 y, int left, int right) {
    Cell *first = cell_of(w, 0, y), *last = cell_of(w, w->plane->width - 1, y);
    for (int i = 1; i <= REACH_X; i++) {
        if (left) first[-i] = *first;
        if (right) last[i] = *last;
    }
}

static void load_samples(Walk *w) {
    const Plane *p = w->plane;
    const i16 *from = p->samples;
    for (i32 y = 0; y < p->height; y++) {
        Cell *to = cell_of(w, 0, y);
        for (i32 x = 0; x < p->width; x++, from += p->components)
            for (int c = 0; c < p->components; c++) to[x].at[c] = from[c];
        pad_row(w, y, 1, 1);
    }
}

static void store_samples(const Walk *w) {
    const Plane *p = w->plane;
    i16 *to = p->samples;
    for (i32 y = 0; y < p->height; y++) {
        const Cell *from = cell_of(w, 0, y);
        for (i32 x = 0; x < p->width; x++, to += p->components)
            for (int c = 0; c < p->components; c++) to[c] = from[x].at[c];
    }
}

static void load_reconstruction(Walk *w) {
    const Plane *p = w->plane;
    Cell *to = w->seen;
    for (i32 y = -FARTHEST; y < p->height + FARTHEST; y++) {
        const i16 *from = p->reconstruction + 3 * (size_t)clamp(y, 0, p->height - 1) * (size_t)p->width;
        for (i32 x = -FARTHEST; x < p->width + FARTHEST; x++, to++)
            memcpy(to->at, from + 3 * (size_t)clamp(x, 0, p->width - 1), 3 * sizeof(i16));
    }
}

static inline const Cell *seen_of(const Walk *w, const Place *at) {
    return w->seen + (size_t)(at->y + FARTHEST) * w->seen_row + (size_t)(at->x + FARTHEST);
}

/* Let the reconstruction be another at (x, y), also where it is repeated. */
static void set_seen(Walk *w, i32 x, i32 y, const i16 *value, int changed) {
    const Plane *p = w->plane;
    i32 top = y ? y : -FARTHEST, bottom = y < p->height - 1 ? y : y + FARTHEST;
    i32 left = x ? x : -FARTHEST, right = x < p->width - 1 ? x : x + FARTHEST;
    for (i32 row = top; row <= bottom; row++) {
        for (i32 column = left; column <= right; column++) {
            size_t at = (size_t)(row + FARTHEST) * w->seen_row + (size_t)(column + FARTHEST);
            memcpy(w->seen[at].at, value, 3 * sizeof(i16));
            w->changed[at] = (u8)changed;
        }
    }
}

/* Whether the network sees a change from (x, y). */
static int sees_change(const Walk *w, i32 x, i32 y) {
    const u8 *own = w->changed + (size_t)(y + FARTHEST) * w->seen_row + (size_t)(x + FARTHEST);
    int found = own[0];
    for (int i = 0; i < w->network->around && !found; i++) found = own[w->around_at[i]];
    return found;
}

/* The reference and the window by the letter of sections 6.2 and 6.3, for places near the edges. */
static void near_at_edge(const Walk *w, const Place *at, Cell *near) {
    i32 x = at->x, y = at->y, width = w->plane->width;
    if (x > 0) near[0] = *cell_of(w, x - 1, y);
    else if (y > 0) near[0] = *cell_of(w, 0, y - 1);
    else near[0] = (Cell){{128, 0, 0, 0}};
    for (int i = 1; i < NEAR; i++) {
        i32 row = y + NEAR_Y[i] < 0 ? 0 : y + NEAR_Y[i];
        i32 column = clamp(x + NEAR_X[i], 0, width - 1), latest = x + 2 * (y - row) - 1;
        if (column > latest) column = latest;
        near[i] = column < 0 ? near[0] : *cell_of(w, column, row);
    }
}

static inline int at_edge(const Place *at) { return at->x == 0 || at->y < REACH_Y; }

/* ---- memory of a walk ---- */

/* Sums up sizes first, then hands the parts of one block out. */
typedef struct {
    u8 *block;
    size_t used;
    int overflow;
} Arena;

static void *part(Arena *a, size_t count, size_t size) {
    size_t bytes;
    if (size && count > (SIZE_MAX / 2 - ALIGNMENT - a->used) / size) {
        a->overflow = 1;
        return NULL;
    }
    bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *start = a->block ? a->block + a->used : NULL;
    a->used += bytes;
    return start;
}

static void walk_parts(Walk *w, Arena *a) {
    const Plane *p = w->plane;
    const Network *n = w->network;
    size_t most = (size_t)w->most + BATCH, height = (size_t)p->height;
    w->cells = part(a, w->row_cells * height, sizeof(Cell));
    w->seen = p->reconstruction ? part(a, w->seen_row * (height + 2 * FARTHEST), sizeof(Cell)) : NULL;
    w->changed = p->reconstruction && w->mode == MEASURE ? part(a, w->seen_row * (height + 2 * FARTHEST), 1) : NULL;
    w->across = part(a, (size_t)p->width, 1);
    w->down = part(a, (size_t)p->height, 1);
    w->places = part(a, most, sizeof(Place));
    w->style = part(a, most, sizeof(i32));
    w->near = part(a, (n->copies ? most : BATCH) * NEAR, sizeof(Cell));
    for (int c = 0; c < 3; c++) {
        w->value[c] = part(a, most, sizeof(i32));
        w->reference[c] = part(a, most, sizeof(i32));
        w->start[c] = part(a, most, sizeof(i32));
        w->coded_mean[c] = w->mean[c] = part(a, most, sizeof(i32));
        w->coded_choice[c] = w->choice[c] = part(a, most, sizeof(u32));
    }
    if (p->adaptive && w->mode != MEASURE) {
        w->adaptive = part(a, 1, sizeof(Adaptive));
        w->errors = part(a, w->error_row * (height + REACH_Y), sizeof(Errors));
        w->learner = part(a, most, sizeof(i32));
        w->shared = part(a, 3 * CLOSE * most, sizeof(i16));
        w->sum = part(a, most, sizeof(i32));
        for (int c = 0; c < 3; c++) {
            w->coded_mean[c] = part(a, most, sizeof(i32));
            w->coded_choice[c] = part(a, most, sizeof(u32));
            w->beside[c] = part(a, CLOSE * most, sizeof(i16));
            w->feature[c] = part(a, (FEATURES + 4) * (most + PERIOD), sizeof(i16));
            w->learner_mean[c] = part(a, most, sizeof(i16));
            w->learner_coded[c] = part(a, most, sizeof(i16));
            w->learner_value[c] = part(a, most, sizeof(i16));
            w->learner_scale[c] = part(a, most, 1);
            w->factor[c] = part(a, most, sizeof(i16));
            w->energy[c] = part(a, most, sizeof(i32));
            w->level[c] = part(a, most, 1);
        }
    }
    w->active = part(a, most, 1);
    w->logit = part(a, (size_t)n->copies * most, 1);
    w->symbol = part(a, w->mode == ENCODE ? FIELDS * most : 0, sizeof(u32));
    w->bits = part(a, most, sizeof(u32));
    w->hidden = part(a, (most / BATCH + 1) * (size_t)(n->hidden_groups + 4), GROUP);
    size_t widest = (size_t)n->input_groups > MOST_WIDTH / 4 ? (size_t)n->input_groups : MOST_WIDTH / 4;
    for (int i = 0; i < 2; i++) w->scratch[i] = part(a, widest + 2, GROUP);
    w->raw = part(a, (MOST_COPIES + 7) * BATCH, sizeof(i32));
}

static int walk_open(Walk *w, const Network *network, const Bank *bank, const Plane *p, int mode, size_t most) {
    if (p->width < 1 || p->height < 1 || (p->components != 1 && p->components != 3) ||
        (i64)p->width * p->height > (i64)1 << 28 || most > INT_MAX - BATCH)
        return BAD_ARGUMENT;
    memset(w, 0, sizeof *w);
    w->network = network;
    w->bank = bank;
    w->plane = p;
    w->mode = mode;
    w->most = (int)most;
    /* An odd number of cache lines in a row keeps the rows of a wavefront out of each other's cache sets. */
    w->row_cells = (((size_t)p->width + 2 * REACH_X + 7) / 8 | 1) * 8;
    w->seen_row = (size_t)p->width + 2 * FARTHEST;
    for (int i = 0; i < NEAR; i++) w->near_at[i] = NEAR_Y[i] * (ptrdiff_t)w->row_cells + NEAR_X[i];
    for (int i = 0; i < network->around; i++)
        w->around_at[i] = network->around_y[i] * (ptrdiff_t)w->seen_row + network->around_x[i];
    for (int j = 0; j < CLOSE; j++) w->close_at[j] = CLOSE_Y[j] * (ptrdiff_t)w->row_cells + CLOSE_X[j];
    /* Where every sample is coded, each row keeps the errors of its last few samples only. */
    int all = !network->copies && !memchr(p->coded, 0, (size_t)p->width * (size_t)p->height);
    w->error_row = all ? RING : w->row_cells;
    w->error_mask = all ? RING - 1 : SIZE_MAX;
    Arena arena = {NULL, 0, 0};
    walk_parts(w, &arena);
    if (arena.overflow) return NO_MEMORY;
    arena.block = w->memory = reserve(arena.used);
    if (!w->memory) return NO_MEMORY;
    arena.used = 0;
    walk_parts(w, &arena);
    for (i32 x = 0; x < p->width; x++) w->across[x] = (u8)(128 + (i64)network->positions * x / p->width);
    for (i32 y = 0; y < p->height; y++) w->down[y] = (u8)(128 + (i64)network->positions * y / p->height);
    load_samples(w);
    if (p->reconstruction) load_reconstruction(w);
    return DONE;
}

static void walk_close(Walk *w) { release(w->memory); }

/* Places of one step that are coded, appended to the list from `at` on, y ascending.  Returns their number. */
static int list_step(Walk *w, i32 step, int at) {
    const Plane *p = w->plane;
    i32 first = step < p->width ? 0 : (step - p->width) / 2 + 1, last = step / 2 < p->height ? step / 2 : p->height - 1;
    int begin = at;
    for (i32 y = first; y <= last; y++) {
        i32 x = step - 2 * y;
        size_t sample = (size_t)y * (size_t)p->width + (size_t)x;
        if (!p->coded[sample]) continue;
        w->places[at] = (Place){x, y, (size_t)(cell_of(w, x, y) - w->cells)};
        w->style[at++] = p->styles[sample];
    }
    return at - begin;
}

/* Where the places end that are of the same step as place `start`. */
static int step_end(const Walk *w, int start, int n) {
    i32 step = w->places[start].x + 2 * w->places[start].y;
    int end = start + 1;
    while (end < n && w->places[end].x + 2 * w->places[end].y == step) end++;
    return end;
}

static i32 steps_of(const Plane *p) { return p->width + 2 * (p->height - 1); }

static size_t most_in_step(const Plane *p) {
    size_t rows = (size_t)p->height, columns = ((size_t)p->width + 1) / 2;
    return rows < columns ? rows : columns;
}

/* ---- the same code for every instruction set ---- */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define FOR_ISA(name) JOIN(name, ISA)

#define KERNEL_PLAIN 0
#define KERNEL_SSE2 1
#define KERNEL_AVX2 2
#define KERNEL_AVXVNNI 3
#define KERNEL_AVX512 4
#define KERNEL_NEON 5
#define KERNEL_NEON_DOT 6

#if defined(__clang__)
#define TARGET_(list) _Pragma(#list)
#define PUSH_TARGET(isa) TARGET_(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define POP_TARGET _Pragma("clang attribute pop")
#elif defined(__GNUC__)
#define TARGET_(list) _Pragma(#list)
#define PUSH_TARGET(isa) _Pragma("GCC push_options") TARGET_(GCC target(isa))
#define POP_TARGET _Pragma("GCC pop_options")
#endif

#define ISA plain
#define KERNEL KERNEL_PLAIN
#include "_walk.h"
#undef ISA
#undef KERNEL

#if defined(ON_X86) && defined(__SSE2__)
#define ISA sse2
#define KERNEL KERNEL_SSE2
#include "_walk.h"
#undef ISA
#undef KERNEL

PUSH_TARGET("avx2,bmi,bmi2,fma")
#define ISA avx2
#define KERNEL KERNEL_AVX2
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET

PUSH_TARGET("avx2,bmi,bmi2,fma,avxvnni")
#define ISA avxvnni
#define KERNEL KERNEL_AVXVNNI
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET

PUSH_TARGET("avx2,bmi,bmi2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#define ISA avx512
#define KERNEL KERNEL_AVX512
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET
#endif

#if defined(ON_ARM)
#define ISA neon
#define KERNEL KERNEL_NEON
#include "_walk.h"
#undef ISA
#undef KERNEL

PUSH_TARGET("arch=armv8.2-a+dotprod")
#define ISA neon_dot
#define KERNEL KERNEL_NEON_DOT
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET
#endif

typedef struct {
    const char *name;
    int (*run)(Walk *w, const i32 *places, size_t n, u32 *out, size_t *count);
    int (*compare)(Walk *w, const u32 *lengths, const i32 *rectangles, size_t n, const i16 *inside, i64 *out);
} Isa;

static const Isa ISAS[] = {
#if defined(ON_ARM)
    {"neon_dot", run_neon_dot, compare_neon_dot},
    {"neon", run_neon, compare_neon},
#endif
#if defined(ON_X86) && defined(__SSE2__)
    {"avx512", run_avx512, compare_avx512},
    {"avxvnni", run_avxvnni, compare_avxvnni},
    {"avx2", run_avx2, compare_avx2},
    {"sse2", run_sse2, compare_sse2},
#endif
    {"plain", run_plain, compare_plain},
};
enum { ISA_COUNT = sizeof ISAS / sizeof ISAS[0] };

static int supported(const char *name) {
#if defined(ON_X86) && defined(__SSE2__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
               __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx2")) return avx2;
    if (!strcmp(name, "avxvnni")) {
        unsigned a, b, c, d;
        return avx2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
    }
    if (!strcmp(name, "avx512"))
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni");
#elif defined(ON_ARM)
    if (!strcmp(name, "neon_dot")) {
#if defined(__APPLE__)
        return 1;
#elif defined(__linux__)
        return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
#else
        return 0;
#endif
    }
#endif
    (void)name;
    return 1;
}

/* The name of instruction set `index`, the best first, or NULL behind the last; *usable: whether this processor
   has it. */
EXPORT const char *said_isa(int index, int *usable) {
    if (index < 0 || index >= ISA_COUNT) return NULL;
    *usable = supported(ISAS[index].name);
    return ISAS[index].name;
}

/* ---- what Python calls ---- */

static int walk_over(int isa, const Network *network, const Bank *bank, const Plane *p, int mode,
                     const i32 *places, size_t n, u32 *out, size_t *count) {
    Walk w;
    if (isa < 0 || isa >= ISA_COUNT || !supported(ISAS[isa].name)) return BAD_ARGUMENT;
    size_t most = most_in_step(p);
    if (mode != DECODE) most += TOGETHER;
    int status = walk_open(&w, network, bank, p, mode, most);
    if (!status) status = ISAS[isa].run(&w, places, n, out, count);
    if (!status && (p->errors[0] || p->errors[1] || p->errors[2]) && mode == ENCODE) store_samples(&w);
    walk_close(&w);
    return status;
}

/* The symbols of one plane in the order of decoding; out u32 [samples * (components + copies)].  With errors the
   samples become what the decoder will see. */
EXPORT int said_symbols(int isa, const Network *network, const Bank *bank, const Plane *p, u32 *out, size_t *count) {
    return walk_over(isa, network, bank, p, ENCODE, NULL, 0, out, count);
}

/* Bits of the samples at places i32 [n] of one plane in 2^-16 bit, u32 [n]; errors must be 0. */
EXPORT int said_measure(int isa, const Network *network, const Bank *bank, const Plane *p, const i32 *places,
                        size_t n, u32 *out) {
    if (p->errors[0] || p->errors[1] || p->errors[2]) return BAD_ARGUMENT;
    return walk_over(isa, network, bank, p, MEASURE, places, n, out, NULL);
}

/* How many bits more, in 2^-16 bit, all coded samples of a plane would take if its reconstruction were another in a
   rectangle, i64 [n].  lengths u32 [height][width]: their bits now.  rectangles i32 [n][4]: top, left, bottom,
   right.  inside: the other reconstruction, i16 [rows][columns][3] of each rectangle, one after another. */
EXPORT int said_compare(int isa, const Network *network, const Bank *bank, const Plane *p, const u32 *lengths,
                        const i32 *rectangles, size_t n, const i16 *inside, i64 *out) {
    Walk w;
    if (isa < 0 || isa >= ISA_COUNT || !supported(ISAS[isa].name) || !p->reconstruction || p->errors[0] ||
        p->errors[1] || p->errors[2])
        return BAD_ARGUMENT;
    int status = walk_open(&w, network, bank, p, MEASURE, TOGETHER);
    if (!status) status = ISAS[isa].compare(&w, lengths, rectangles, n, inside, out);
    walk_close(&w);
    return status;
}

/* Fill in the coded samples of a plane from a stack of *count words.  What is left of it stays in words, and *count
   says how much; there must be room for two words more. */
EXPORT int said_decode(int isa, const Network *network, const Bank *bank, const Plane *p, u32 *words,
                       size_t *count) {
    Walk w;
    if (isa < 0 || isa >= ISA_COUNT || !supported(ISAS[isa].name)) return BAD_ARGUMENT;
    int status = walk_open(&w, network, bank, p, DECODE, most_in_step(p));
    if (!status) {
        decoder_open(&w.decoder, words, *count);
        status = ISAS[isa].run(&w, NULL, 0, NULL, NULL);
    }
    if (!status) {
        *count = decoder_close(&w.decoder, words);
        store_samples(&w);
    }
    walk_close(&w);
    return status;
}

/* Changes with every change of an exported function or structure; core.py refuses a library of another number. */
EXPORT int said_interface(void) { return 2; }

/* Extension modules have this function, and some linkers insist on it; nothing imports this library as a module. */
EXPORT void *PyInit__core(void) { return NULL; }
