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
#include "_wide_model.h"
#include "_wide_sample.h"

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

/* Move all rows up by one; the new one gets its samples u16 [width][components], if they are known, and to its left
   the first cell of the row above. */
static void begin_row(const Model *m, int c, const u16 *samples) {
    const Component *p = &m->part[c];
    i32 *planes[2] = {p->cells, p->errors};
    for (int i = 0; i < 2; i++) {
        i32 *row = planes[i], *first = row - MARGIN - MARGIN * m->row;
        memmove(first, first + m->row, MARGIN * m->row * sizeof(i32));
        for (int j = 1; j <= MARGIN; j++) row[-j] = row[-(ptrdiff_t)m->row];
    }
    for (i32 x = 0; samples && x < m->width; x++) p->cells[x] = samples[(size_t)x * (size_t)m->components + (size_t)c];
}

/* Repeat the last cell of a row to its right, and the first row above it; give its samples out. */
static void end_row(const Model *m, int c, int first, u16 *samples) {
    const Component *p = &m->part[c];
    i32 *planes[2] = {p->cells, p->errors};
    for (int i = 0; i < 2; i++) {
        i32 *row = planes[i] - MARGIN;
        for (int j = 0; j < MARGIN; j++) row[MARGIN + m->width + j] = row[MARGIN + m->width - 1];
        for (size_t r = 1; r <= MARGIN && first; r++) memcpy(row - r * m->row, row, m->row * sizeof(i32));
    }
    for (i32 x = 0; x < m->width; x++) samples[(size_t)x * (size_t)m->components + (size_t)c] = (u16)p->cells[x];
}

/* Code an image, samples u16 [height][width][components]; afterwards they are what a decoder sees. */
static INLINE void walk(Model *m, Coder *coder, int decoding, u16 *samples) {
    for (i32 y = 0; y < m->height; y++, samples += (size_t)m->width * (size_t)m->components) {
        for (int c = 0; c < m->components; c++) begin_row(m, c, decoding ? NULL : samples);
        for (i32 segment = 0; segment < m->segments; segment++) {
            i32 start = segment * SEGMENT, end = at_most(start + SEGMENT, m->width);
            for (int c = 0; c < m->components && y; c++)
                if (m->part[c].top) begin_segment(m, &m->part[c], segment);
            for (i32 x = start; x < end; x++)
                for (int c = 0; c < m->components; c++) {
                    Component *p = &m->part[c];
                    if (p->top) sample(m, p, coder, decoding, x, !y, p->cells + x);
                }
            for (int c = 0; c < m->components && y; c++) {
                Component *p = &m->part[c];
                if (!p->top) continue;
                i64 *local = p->local + (size_t)segment * count_sums(p->features);
                add_products(p->learned, p->features, local, LOCAL_SHIFT, p->wide, WIDE_SHIFT);
            }
        }
        for (int c = 0; c < m->components; c++) end_row(m, c, !y, samples);
    }
}

static void encode_plain(Model *m, Coder *coder, u16 *samples) {
    walk(m, coder, 0, samples);
}
static void decode_plain(Model *m, Coder *coder, u16 *samples) {
    walk(m, coder, 1, samples);
}

/* The same with wider vectors; the sums are exact either way. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
__attribute__((target("avx2"))) static void encode_avx2(Model *m, Coder *coder, u16 *samples) {
    walk(m, coder, 0, samples);
}
__attribute__((target("avx2"))) static void decode_avx2(Model *m, Coder *coder, u16 *samples) {
    walk(m, coder, 1, samples);
}

static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
}

static void walk_encoding(Model *m, Coder *coder, u16 *samples) {
    has_avx2() ? encode_avx2(m, coder, samples) : encode_plain(m, coder, samples);
}
static void walk_decoding(Model *m, Coder *coder, u16 *samples) {
    has_avx2() ? decode_avx2(m, coder, samples) : decode_plain(m, coder, samples);
}
#else
static void walk_encoding(Model *m, Coder *coder, u16 *samples) { encode_plain(m, coder, samples); }
static void walk_decoding(Model *m, Coder *coder, u16 *samples) { decode_plain(m, coder, samples); }
#endif

static int arguments_fit(i32 width, i32 height, i32 components, const i32 *tops, i32 max_error) {
    if (width < 1 || height < 1 || components < 1 || components > COMPONENTS) return 0;
    if (width > MOST_SIDE || height > MOST_SIDE || (i64)width * height > (i64)1 << 28) return 0;
    for (int c = 0; c < components; c++)
        if (tops[c] < 0 || tops[c] > 65535) return 0;
    return max_error >= 0 && max_error <= 32767;
}

/* The decisions of an image, samples u16 [height][width][components], component c at most tops[c], in the order of
   decoding: *out u32 [*count], which said_wide_free releases.  Afterwards samples are those that a decoder sees. */
EXPORT int said_wide_encode(u16 *samples, i32 width, i32 height, i32 components, const i32 *tops, i32 max_error,
                            u32 **out, size_t *count) {
    if (!arguments_fit(width, height, components, tops, max_error)) return BAD_ARGUMENT;
    Model *m = model_new(width, height, components, tops, max_error);
    if (!m) return NO_MEMORY;
    Coder coder = {0};
    walk_encoding(m, &coder, samples);
    model_free(m);
    return hand_over(&coder, out, count);
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
    walk_decoding(m, &coder, samples);
    model_free(m);
    *count = decoder_close(&coder.decoder, words);
    return DONE;
}

/* Which functions and arrays there are, and which bytes they give; wide.py refuses a library of another number. */
EXPORT int said_wide_interface(void) { return 1; }

/* Extension modules have this function, and some linkers insist on it; nothing imports this library as a module. */
EXPORT void *PyInit__wide(void) { return NULL; }
