/* Streams of decisions: what the coders of graphics and of wide samples share (bitstream_spec.md, "Decisions"). */

#include "_odds.h"

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
    return take_decision(&c->decoder, p);
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
        if (decision < 2 || decision >> 17) return SIZE_MAX;
        push_decision(&e, decision >> 1, decision & 1);
    }
    return encoder_close(&e);
}

static void fill_mixers(Mixer *m, size_t size, i32 weight) {
    for (size_t i = 0; i < size / sizeof(Mixer); i++)
        for (int j = 0; j < INPUTS; j++) m[i].weight[j] = weight;
}
