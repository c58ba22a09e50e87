/* Probabilities of decisions that are learned along: counters and mixers (bitstream_spec.md, "Decisions").  Whoever
   includes this defines INPUTS first, the inputs of a mixer, the constant one included.  All arithmetic is in integers;
   >> of a negative number rounds down, as gcc, clang and MSVC do it. */

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#define INLINE inline __attribute__((always_inline))
#else
#define FETCH(address) (void)(address)
#define INLINE __forceinline
#endif

enum {
    PROBABILITY_BITS = 16,
    MOST_ODDS = 3072, /* logarithms of odds lie in -MOST_ODDS ... MOST_ODDS - 1 */
    EASE = 3      /* a mixer's rate falls by one every 1 << EASE decisions */
};

/* ---- fixed tables ---- */

/* A probability as logarithm of its odds in 1/256, and back. */
typedef struct {
    u16 squash[2 * MOST_ODDS];
    i16 stretch[4096];
    u16 rate[1024]; /* 2^16 / (n + 1.5) */
} Curves;

static void fill_curves(Curves *c) {
    u64 e = (u64)1 << 31; /* 2^31 exp(-i / 256) */
    for (int i = 0; i < MOST_ODDS; i++) {
        u64 p = ((u64)1 << 47) / (((u64)1 << 31) + e);
        if (p > 65535) p = 65535;
        c->squash[MOST_ODDS + i] = (u16)p;
        if (i) c->squash[MOST_ODDS - i] = (u16)(65536 - p);
        e = e * 4278222805u >> 32;
    }
    c->squash[0] = 1;
    for (int i = 0, s = 0; i < 4096; i++) {
        while (c->squash[s] < 16 * i + 8) s++;
        c->stretch[i] = (i16)(s - MOST_ODDS);
    }
    for (int n = 0; n < 1024; n++) c->rate[n] = (u16)(131072 / (2 * n + 3));
}

/* ---- levels of numbers ---- */

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

/* ---- a decision ---- */

static INLINE int take_decision(Decoder *d, u32 p) {
    u32 split = p << (PRECISION - PROBABILITY_BITS), low = decoder_low(d);
    int bit = low < split;
    decoder_advance(d, low, bit ? 0 : split, bit ? split : (1u << PRECISION) - split);
    return bit;
}

static INLINE void push_decision(Encoder *e, u32 p, int bit) {
    u32 split = p << (PRECISION - PROBABILITY_BITS);
    encoder_push(e, bit ? 0 : split, bit ? split : (1u << PRECISION) - split);
}

/* ---- adaptive probabilities ---- */

typedef u32 Counter; /* probability of 1 in 2^-22, shifted left by 10, and how often it was updated */

static const Counter EVEN = 1u << 31;

static INLINE void update(const Curves *curves, Counter *c, int bit, u32 limit) {
    u32 n = *c & 1023;
    i32 p = (i32)(*c >> 10);
    p += (i32)((i64)((bit ? 4194303 : 0) - p) * curves->rate[n] >> 16);
    *c = (u32)p << 10 | (n < limit ? n + 1 : n);
}

static INLINE i32 stretched(const Curves *curves, Counter c) { return curves->stretch[c >> 20]; }

static INLINE u32 squashed(const Curves *curves, i32 s) {
    s = s < -MOST_ODDS ? -MOST_ODDS : s >= MOST_ODDS ? MOST_ODDS - 1 : s;
    return curves->squash[MOST_ODDS + s];
}

typedef struct {
    i32 weight[INPUTS]; /* in 2^-16, within -8 ... 8 */
    i32 seen;
} Mixer;

static INLINE i32 mix(const Mixer *m, const i32 *input) {
    i32 sum = 0;
    for (int i = 0; i < INPUTS; i++) sum += m->weight[i] * input[i] >> 4;
    return sum >> 12;
}

static INLINE void learn(Mixer *m, const i32 *input, u32 p, int bit, int fast, int slow) {
    i32 rate = fast - (m->seen >> EASE);
    if (rate <= slow) rate = slow;
    else m->seen++;
    i32 error = (((bit << PROBABILITY_BITS) - (i32)p) * rate) >> 4;
    for (int i = 0; i < INPUTS; i++) {
        i32 w = m->weight[i] + ((input[i] * error + (1 << 15)) >> 16);
        m->weight[i] = w < -524288 ? -524288 : w > 524287 ? 524287 : w;
    }
}

static void fill(void *counters, size_t size) {
    Counter *c = counters;
    for (size_t i = 0; i < size / sizeof(Counter); i++) c[i] = EVEN;
}
