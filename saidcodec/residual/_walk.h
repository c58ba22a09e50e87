/* What coding and measuring share: contexts, the network's choices, questions and components of a list of samples.

   Compiled once for every instruction set (see _core.c).  ISA names the copy, KERNEL says which instructions it may
   use.  A list's samples do not depend on each other, or all are known. */

#define LONG_VECTORS (KERNEL == KERNEL_AVX512 || KERNEL == KERNEL_AMX)
#define WIDE_VECTORS (KERNEL == KERNEL_AVX2 || KERNEL == KERNEL_AVXVNNI || LONG_VECTORS)

#include "_layers.h"

/* ---- contexts (sections 6.2 to 6.4) ---- */

static inline u8 FOR_ISA(input)(i32 d) { return (u8)(clamp(d, -128, 127) + 128); }

/* Three bytes of input for each of n differences of cells, side by side.  Writes up to 16 bytes more. */
static inline void FOR_ISA(differences)(const Cell *const *minuend, const Cell *const *subtrahend, int n, u8 *out) {
#if WIDE_VECTORS
    const __m128i flip = _mm_set1_epi8((char)0x80);
    const __m128i dense = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    for (int i = 0; i < n; i += 4) {
        __m128i two[2];
        for (int h = 0; h < 2; h++) {
            int a = i + 2 * h < n ? i + 2 * h : n - 1, b = a + 1 < n ? a + 1 : n - 1;
            __m128i from = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)minuend[a]),
                                              _mm_loadl_epi64((const __m128i *)minuend[b]));
            __m128i take = _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)subtrahend[a]),
                                              _mm_loadl_epi64((const __m128i *)subtrahend[b]));
            two[h] = _mm_sub_epi16(from, take);
        }
        __m128i bytes = _mm_xor_si128(_mm_packs_epi16(two[0], two[1]), flip);
        _mm_storeu_si128((__m128i *)(out + 3 * i), _mm_shuffle_epi8(bytes, dense));
    }
#else
    for (int i = 0; i < n; i++)
        for (int c = 0; c < 3; c++) out[3 * i + c] = FOR_ISA(input)(minuend[i]->at[c] - subtrahend[i]->at[c]);
#endif
}

/* What the network sees around (x, y) in the reconstruction, and what only models with copies have: bytes behind the
   window's, the flag and the position.  Returns the end of them. */
static inline u8 *FOR_ISA(further)(const Walk *w, i32 x, i32 y, const Cell *const *near, u8 *out) {
    const Network *n = w->network;
    const Cell *seen = w->seen ? seen_of(w, x, y) : NULL;
    for (int i = 0; i < n->around; i++) {
        const Cell *there = seen ? seen + w->around_at[i] : NULL;
        int none = !there || there->at[0] == NO_RECONSTRUCTION;
        for (int c = 0; c < 3; c++) *out++ = none ? 128 : FOR_ISA(input)(there->at[c] - near[0]->at[c]);
    }
    if (n->copies) {
        i32 most = 1;
        for (int i = 0; i < NEAR; i++) most = near[i]->at[0] > most ? near[i]->at[0] : most;
        *out++ = FOR_ISA(input)(most >> 1);
        for (int i = 0; i < NEAR; i++) *out++ = FOR_ISA(input)(floor_div(127 * near[i]->at[0], most));
    }
    return out;
}

/* The inputs of the network for one place, into one lane of `out` [group][BATCH][4], from pointers to the reference
   and the window. */
static inline void FOR_ISA(context)(const Walk *w, i32 x, i32 y, const Cell *const *near, u8 *out) {
    const Network *n = w->network;
    u8 bytes[4 * ((3 * NEAR + 3 + 3 * MOST_AROUND + NEAR + 1) / 4 + 8)];
    const Cell *subtrahend[NEAR];
    for (int i = 1; i < NEAR; i++) subtrahend[i - 1] = near[n->origin[i]];
    FOR_ISA(differences)(near + 1, subtrahend, NEAR - 1, bytes);
    u32 rest = little(place_input(w, x, y));
    memcpy(bytes + 3 * (NEAR - 1), &rest, 3);
    FOR_ISA(further)(w, x, y, near, bytes + 3 * NEAR);
    for (int g = 0; g < n->input_groups; g++) memcpy(out + (size_t)g * GROUP, bytes + 4 * g, 4);
}

/* ---- choices (section 6.6) ---- */

/* From the raw numbers of a head, i32 [3][BATCH], the means and tables of n samples. */
static inline void FOR_ISA(choose)(const i32 *raw, const i32 *start, i32 low, i32 *mean, u32 *choice, int n) {
    for (int i = 0; i < n; i++) {
        i32 m = clamp(start[i] + raw[i], 16 * low, 16 * 255);
        i32 scale = clamp(raw[BATCH + i], 0, SCALES - 1), tail = clamp(raw[2 * BATCH + i], 0, TAILS - 1);
        mean[i] = m;
        choice[i] = (u32)((m & 15) + FRACTIONS * (tail + TAILS * scale));
    }
}

/* What a decoded component tells the heads after it (section 6.5), into one group of the hidden activations. */
static inline void FOR_ISA(surprise)(const i32 *value, const i32 *mean, const u32 *choice, const i32 *reference, u8 *out,
                                     int n) {
    u32 *told = (u32 *)(void *)out;
    for (int i = 0; i < n; i++) {
        i32 error = value[i] - ((mean[i] + 7 + (mean[i] >> 4 & 1)) >> 4);
        i32 scale = (i32)(choice[i] / (FRACTIONS * TAILS));
        i32 factor = (WIDTH_FACTORS >> 8 * (scale & 3)) & 255;
        u32 a = (u32)(clamp(4 * error, -128, 127) + 128), b = (u32)(clamp(error, -128, 127) + 128);
        u32 c = (u32)(clamp(value[i] - reference[i], -128, 127) + 128);
        u32 d = (u32)(clamp((16 * value[i] - mean[i]) * factor >> (scale >> 2), -128, 127) + 128);
        told[i] = little(a | b << 8 | c << 16 | d << 24);
    }
}

/* Where chroma starts in a model with copies (section 6.8): start[1], start[2] and the clues' groups.
   The products stay below 2^23. */
static void FOR_ISA(chroma_starts)(Walk *w, int n) {
    const Network *net = w->network;
    size_t groups = (size_t)net->hidden_groups + 4;
    for (int i = 0; i < n; i++) {
        const Cell *near = w->near + (size_t)i * NEAR;
        i32 luma = w->value[0][i];
        int chosen = 0, best = -1, darkest = 0;
        for (int k = 0; k < NEAR; k++) {
            int key = near[k].at[0] == luma ? 256 : near[k].at[0];
            if (key > best) {
                best = key;
                chosen = k;
            }
            if (near[k].at[0] < near[darkest].at[0]) darkest = k;
        }
        i32 bright = near[chosen].at[0], dark = near[darkest].at[0];
        int between = dark < luma && luma < bright;
        if (!between) dark = 0;
        i32 span = bright - dark;
        u8 *clues = w->hidden + ((size_t)(i / BATCH) * groups + (size_t)net->hidden_groups + 2) * GROUP + 4 * (size_t)(i % BATCH);
        for (int c = 1; c < 3; c++) {
            i32 other = between ? near[darkest].at[c] : 0, apart = near[chosen].at[c] - other;
            i32 blended = span ? floor_div(32 * apart * (luma - dark) + span, 2 * span) : 16 * apart;
            i32 start = clamp(16 * other + blended, -16 * 255, 16 * 255);
            w->start[c][i] = start;
            /* The clue's first byte differs between Co and Cg; that of Cg waits in a group of its own. */
            clues[c == 1 ? 0 : GROUP] = FOR_ISA(input)(((start + 8) >> 4) - near[0].at[c]);
            clues[(c == 1 ? 0 : GROUP) + 1] = FOR_ISA(input)(bright >> 1);
            clues[(c == 1 ? 0 : GROUP) + 2] = FOR_ISA(input)(bright == luma ? 127 : (luma - bright) >> 1);
        }
    }
}

/* ---- symbols (section 7) ---- */

/* The questions of section 6.7: what is no copy stays active. */
static void FOR_ISA(ask)(Walk *w, int n) {
    const Network *net = w->network;
    const Plane *p = w->plane;
    size_t stride = (size_t)w->most + BATCH;
    for (int j = 0; j < net->copies; j++) {
        for (int i = 0; i < n; i++) {
            const Cell *near = w->near + (size_t)i * NEAR, *offer = near + net->copy[j];
            int asked = w->active[i], same = 1;
            for (int e = 0; e < j && asked; e++) {
                const Cell *earlier = near + net->copy[e];
                asked = earlier->at[0] != offer->at[0] || earlier->at[1] != offer->at[1] || earlier->at[2] != offer->at[2];
            }
            if (!asked) continue;
            int table = w->logit[(size_t)j * stride + (size_t)i];
            if (w->mode == DECODE) {
                same = take_copy(&w->decoder, w->bank, table);
            } else {
                for (int c = 0; c < p->components; c++) {
                    i32 distance = w->truth[c][i] - offer->at[c];
                    if (c && p->max_error) distance += w->truth[0][i] - offer->at[0];
                    same &= distance <= p->max_error && -distance <= p->max_error;
                }
                if (w->mode == ENCODE) w->out[w->count++] = (u32)(ROWS + table) << SYMBOL_BITS | (u32)same;
                else w->bits[i] += w->bank->lengths[ROWS + table][same];
            }
            if (!same) continue;
            w->active[i] = 0;
            for (int c = 0; c < p->components; c++) w->value[c][i] = offer->at[c];
        }
    }
}

/* The means and shapes that component c of the step's samples is coded with, near-lossless (section 7.1): a mean
   keeps its nearest integer, and what is left of it and the scale are counted in quanta. */
static void FOR_ISA(in_quanta)(Walk *w, int c, int n) {
    const i32 quantum = 2 * w->plane->max_error + 1, *mean = w->adaptive ? w->coded_mean[c] : w->mean[c];
    const u32 *choice = w->adaptive ? w->coded_choice[c] : w->choice[c];
    const u64 square = (u64)quantum * (u64)quantum;
    const i32 narrower = 63 - __builtin_clzll(square * square);
    for (int i = 0; i < n; i++) {
        i32 centre = (mean[i] + 8) >> 4, shape = (i32)(choice[i] / FRACTIONS);
        i32 scale = shape / TAILS - narrower;
        i32 counted = 16 * centre + (mean[i] - 16 * centre) / quantum;
        w->coded_mean[c][i] = counted;
        w->coded_choice[c][i] = (u32)((counted & 15) + FRACTIONS * (shape % TAILS + TAILS * (scale < 0 ? 0 : scale)));
    }
}

/* Code one component of the list's active samples: value[c] from the stream, or symbols or bits from the truth.
   Near-lossless, later components make up for the errors of the first (section 7.1). */
static int FOR_ISA(code_component)(Walk *w, int c, int n) {
    const Plane *p = w->plane;
    const Bank *bank = w->bank;
    const i32 error = p->max_error, quantum = 2 * error + 1, low = c ? -255 : 0;
    const i32 *mean = w->coded_mean[c], *truth = w->truth[c];
    const u32 *chosen = w->coded_choice[c];
    i32 *value = w->value[c];
    u32 *out = w->out + w->count;
    int impossible = 0;
    Decoder d = w->decoder;
    for (int i = 0; i < n; i++) {
        if (!w->active[i]) continue;
        Choice choice = bank->choice[chosen[i]];
        i32 centre = (mean[i] >> 4) + choice.carry, k;
        if (w->mode == DECODE) {
            k = choice.sign * (take_mixture(&d, bank, choice.row) - REACH);
        } else {
            i32 goal = c && error ? truth[i] + w->truth[0][i] - w->value[0][i] : truth[i];
            k = error ? floor_div(goal - centre + error, quantum) : goal - centre;
            u32 coded = (u32)(choice.sign * k + REACH);
            if (w->mode == ENCODE) *out++ = (u32)choice.row << SYMBOL_BITS | coded;
            else w->bits[i] += bank->lengths[choice.row][coded];
        }
        i32 v = centre + quantum * k, inside = clamp(v, low, 255);
        impossible |= inside != v && !error;
        value[i] = inside;
    }
    w->decoder = d;
    if (w->mode == ENCODE) w->count = (size_t)(out - w->out);
    return impossible ? IMPOSSIBLE_SAMPLE : DONE;
}

/* ---- the network on a batch ---- */

/* Trunk and first head of the batch of n that begins at `first`, whose inputs are in scratch[0]. */
static void FOR_ISA(trunk)(Walk *w, int first, int n) {
    const Network *net = w->network;
    size_t groups = (size_t)net->hidden_groups + 4;
    u8 *hidden = w->hidden + (size_t)(first / BATCH) * groups * GROUP;
    const u8 *x = w->scratch[0];
    for (int i = 0; i < net->trunk_layers; i++) {
        u8 *y = i == net->trunk_layers - 1 ? hidden : w->scratch[~i & 1];
        /* The quads of the last layer are rounded up; the groups after it are filled in later. */
        FOR_ISA(layer)(&net->trunk[i], x, y, NULL, i ? NULL : w->style + first, n);
        x = y;
    }
    if (net->copies) {
        size_t stride = (size_t)w->most + BATCH;
        FOR_ISA(layer)(&net->head_copy, hidden, NULL, w->raw, NULL, n);
        for (int j = 0; j < net->copies; j++)
            for (int i = 0; i < n; i++)
                w->logit[(size_t)j * stride + (size_t)(first + i)] = (u8)clamp(w->raw[j * BATCH + i], 0, COPIES - 1);
    }
    FOR_ISA(layer)(&net->head_y, hidden, NULL, w->raw, NULL, n);
    FOR_ISA(choose)(w->raw, w->start[0] + first, 0, w->mean[0] + first, w->choice[0] + first, n);
}

/* Whether any of the samples from `at` on is active. */
static inline int FOR_ISA(any_active)(const Walk *w, int at, int n) {
    for (int i = at; i < at + n; i++)
        if (w->active[i]) return 1;
    return 0;
}

/* Surprise of component c - 1, hidden layer and head of component c for one batch. */
static void FOR_ISA(chroma)(Walk *w, int c, int first, int n) {
    const Network *net = w->network;
    size_t groups = (size_t)net->hidden_groups + 4;
    u8 *hidden = w->hidden + (size_t)(first / BATCH) * groups * GROUP, *extra = hidden + (size_t)net->hidden_groups * GROUP;
    FOR_ISA(surprise)(w->value[c - 1] + first, w->mean[c - 1] + first, w->choice[c - 1] + first, w->reference[c - 1] + first, extra + (c - 1) * GROUP, n);
    if (!FOR_ISA(any_active)(w, first, n)) return;
    if (c == 2 && net->copies) memcpy(extra + 2 * GROUP, extra + 3 * GROUP, GROUP);
    FOR_ISA(layer)(&net->hidden_chroma[c - 1], hidden, w->scratch[0], NULL, NULL, n);
    FOR_ISA(layer)(&net->head_chroma[c - 1], w->scratch[0], NULL, w->raw, NULL, n);
    FOR_ISA(choose)(w->raw, w->start[c] + first, -255, w->mean[c] + first, w->choice[c] + first, n);
}

static inline int FOR_ISA(batch_size)(int first, int n) { return n - first < BATCH ? n - first : BATCH; }

#include "_measure.h"
#include "_front.h"

#undef LANES
#undef EIGHTS
#undef WIDE_VECTORS
#undef LONG_VECTORS
