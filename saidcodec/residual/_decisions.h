/* Binary decisions under probabilities that are learned along: what the coders of graphics and of wide samples share
   (bitstream_spec.md, "Decisions").  Whoever includes this defines INPUTS first, the inputs of a mixer, the constant
   one included.  All arithmetic is in integers; >> of a negative number rounds down, as gcc, clang and MSVC do it. */

#if defined(__GNUC__)
#define FETCH(address) __builtin_prefetch(address)
#define INLINE inline __attribute__((always_inline))
#else
#define FETCH(address) (void)(address)
#define INLINE __forceinline
#endif

enum {
    PROBABILITY_BITS = 16,
    REACH = 3072, /* logarithms of odds lie in -REACH ... REACH - 1 */
    EASE = 3      /* a mixer's rate falls by one every 1 << EASE decisions */
};

/* ---- fixed tables ---- */

/* A probability as logarithm of its odds in 1/256, and back. */
typedef struct {
    u16 squash[2 * REACH];
    i16 stretch[4096];
    u16 rate[1024]; /* 2^16 / (n + 1.5) */
} Curves;

static void fill_curves(Curves *c) {
    u64 e = (u64)1 << 31; /* 2^31 exp(-i / 256) */
    for (int i = 0; i < REACH; i++) {
        u64 p = ((u64)1 << 47) / (((u64)1 << 31) + e);
        if (p > 65535) p = 65535;
        c->squash[REACH + i] = (u16)p;
        if (i) c->squash[REACH - i] = (u16)(65536 - p);
        e = e * 4278222805u >> 32;
    }
    c->squash[0] = 1;
    for (int i = 0, s = 0; i < 4096; i++) {
        while (c->squash[s] < 16 * i + 8) s++;
        c->stretch[i] = (i16)(s - REACH);
    }
    for (int n = 0; n < 1024; n++) c->rate[n] = (u16)(131072 / (2 * n + 3));
}

static inline int clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }
static inline int magnitude(int v) { return v < 0 ? -v : v; }
static inline int at_most(int v, int most) { return v < most ? v : most; }

static int log2_floor(u64 v) {
    int n = 0;
    while (v >>= 1) n++;
    return n;
}

/* ---- the coder ---- */

/* Decisions are collected while encoding (probability of 1 in 2^-16, shifted left by one, and the bit; or, for bits
   that are all alike, PLAIN, their number shifted left by 24, and the bits), and taken from a stack of words while
   decoding. */
#define PLAIN 0x80000000u
typedef struct {
    Decoder decoder;
    u32 *out;
    size_t count, room;
    int failed; /* no memory */
} Coder;

static void grow(Coder *c) {
    size_t room = c->room ? 2 * c->room : 1 << 14;
    u32 *out = room <= SIZE_MAX / 8 ? realloc(c->out, room * sizeof(u32)) : NULL;
    if (out) {
        c->out = out;
        c->room = room;
    } else {
        c->failed = 1;
        c->count = 0;
    }
}

static INLINE void collect(Coder *c, u32 decision) {
    if (c->count == c->room) grow(c);
    if (!c->failed) c->out[c->count++] = decision;
}

/* Give what was collected to the caller, who frees it.  Returns a status. */
static int hand_over(Coder *c, u32 **out, size_t *count) {
    if (c->failed) {
        free(c->out);
        return NO_MEMORY;
    }
    *out = c->out;
    *count = c->count;
    return DONE;
}

static INLINE int decide(Coder *c, int decoding, u32 p, int bit) {
    if (!decoding) {
        collect(c, p << 1 | (u32)bit);
        return bit;
    }
    u32 split = p << (PRECISION - PROBABILITY_BITS), low = decoder_low(&c->decoder);
    bit = low < split;
    decoder_advance(&c->decoder, low, bit ? 0 : split, bit ? split : (1u << PRECISION) - split);
    return bit;
}

/* 1 to 24 bits, each as likely 0 as 1. */
static INLINE u32 plain_bits(Coder *c, int decoding, int bits, u32 value) {
    if (!decoding) {
        collect(c, PLAIN | (u32)bits << PRECISION | value);
        return value;
    }
    u32 low = decoder_low(&c->decoder), width = 1u << (PRECISION - bits);
    value = low / width;
    decoder_advance(&c->decoder, low, value * width, width);
    return value;
}

/* Push decisions u32 [n], the last one first, on the stack of `count` words that `words` holds; it has room for
   count + n + 2.  Returns the number of words; SIZE_MAX if a decision is none. */
static size_t push_decisions(const u32 *decisions, size_t n, u32 *words, size_t count) {
    Encoder e;
    encoder_open(&e, words, count);
    while (n) {
        u32 decision = decisions[--n];
        if (decision & PLAIN) {
            u32 bits = decision >> PRECISION & 127, value = decision & ((1u << PRECISION) - 1);
            if (bits > PRECISION || value >> bits) return SIZE_MAX;
            encoder_push(&e, value << (PRECISION - bits), 1u << (PRECISION - bits));
            continue;
        }
        u32 split = decision >> 1 << (PRECISION - PROBABILITY_BITS);
        if (decision < 2 || decision >> 17) return SIZE_MAX;
        encoder_push(&e, decision & 1 ? 0 : split, decision & 1 ? split : (1u << PRECISION) - split);
    }
    return encoder_close(&e);
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
    s = s < -REACH ? -REACH : s >= REACH ? REACH - 1 : s;
    return curves->squash[REACH + s];
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

static void fill_mixers(Mixer *m, size_t size, i32 weight) {
    for (size_t i = 0; i < size / sizeof(Mixer); i++)
        for (int j = 0; j < INPUTS; j++) m[i].weight[j] = weight;
}
