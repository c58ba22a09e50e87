/* What both C cores share: types, memory, and the ANS coder of bitstream_spec.md, section 3. */

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

static inline int clamp(int v, int low, int high) { return v < low ? low : v > high ? high : v; }
static inline int magnitude(int v) { return v < 0 ? -v : v; }
static inline int at_most(int v, int most) { return v < most ? v : most; }

static inline int log2_floor(u64 v) {
#if defined(__GNUC__)
    return v ? 63 - __builtin_clzll(v) : 0;
#else
    int n = 0;
    while (v >>= 1) n++;
    return n;
#endif
}

enum { DONE = 0, NO_MEMORY = 1, IMPOSSIBLE_SAMPLE = 2, BAD_ARGUMENT = 3 };
enum { PRECISION = 24, ALIGNMENT = 64 };

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

/* Sums up sizes first, then hands the parts of one block out. */
typedef struct {
    u8 *block;
    size_t used;
    int overflow;
} Arena;

static void *part(Arena *a, size_t count, size_t size) {
    if (size && count > (SIZE_MAX / 2 - ALIGNMENT - a->used) / size) {
        a->overflow = 1;
        return NULL;
    }
    void *start = a->block ? a->block + a->used : NULL;
    a->used += (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return start;
}

/* ---- the stack of words ---- */

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

/* The part of the state that says which symbol comes next. */
static inline u32 decoder_low(const Decoder *d) { return (u32)d->state & ((1u << PRECISION) - 1); }

static inline void decoder_advance(Decoder *d, u32 low, u32 start, u32 frequency) {
    d->state = (d->state >> PRECISION) * frequency + (low - start);
    if (d->state >> 32 == 0 && d->count) d->state = d->state << 32 | d->words[--d->count];
}

typedef struct {
    u64 state;
    u32 *words; /* with room for a word for every symbol, and two more */
    size_t count;
} Encoder;

static void encoder_open(Encoder *e, u32 *words, size_t count) {
    e->state = 0;
    for (int i = 0; i < 2 && count; i++) e->state = e->state << 32 | words[--count];
    e->words = words;
    e->count = count;
}

static inline void encoder_push(Encoder *e, u32 start, u32 frequency) {
    if (e->state >> (64 - PRECISION) >= frequency) {
        e->words[e->count++] = (u32)e->state;
        e->state >>= 32;
    }
    e->state = (e->state / frequency << PRECISION) + start + e->state % frequency;
}

/* Returns the number of words, 0 for an empty stack. */
static size_t encoder_close(Encoder *e) {
    for (; e->state; e->state >>= 32) e->words[e->count++] = (u32)e->state;
    return e->count;
}
