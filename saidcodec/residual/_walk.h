/* The walk over the samples of a plane, compiled once for every instruction set (see _core.c).

   ISA names the copy, KERNEL says which instructions it may use. */

/* ---- dense layers (section 5) ---- */

#define EIGHTS(kernel) ((kernel) == KERNEL_AVX2 || (kernel) == KERNEL_AVXVNNI)

static inline i32 FOR_ISA(rounded)(i32 sum, i32 shift) { /* sum / 2^shift, halves to even */
    if (!shift) return sum;
    return (sum + (1 << (shift - 1)) - 1 + (sum >> shift & 1)) >> shift;
}

#if KERNEL == KERNEL_AVX2 || KERNEL == KERNEL_AVXVNNI

#if KERNEL == KERNEL_AVX2
/* Add the products of `depth` groups for 4 outputs and 16 samples, summed in 16 bits first. */
static inline __attribute__((always_inline)) void FOR_ISA(block)(const u8 *x, const i8 *weight, __m256i sum[4][2],
                                                                 int vectors, int depth) {
    __m256i partial[4][2];
    const __m256i ones = _mm256_set1_epi16(1);
    for (int k = 0; k < depth; k++) {
        __m256i in[2];
        for (int v = 0; v < vectors; v++) in[v] = _mm256_load_si256((const __m256i *)(x + k * GROUP + 32 * v));
        for (int o = 0; o < 4; o++) {
            i32 four;
            memcpy(&four, weight + 16 * k + 4 * o, 4);
            __m256i w = _mm256_set1_epi32(four);
            for (int v = 0; v < vectors; v++) {
                __m256i product = _mm256_maddubs_epi16(in[v], w);
                partial[o][v] = k ? _mm256_add_epi16(partial[o][v], product) : product;
                /* Keeps the compiler from holding all products of a sum at once, which would spill them. */
                __asm__("" : "+x"(partial[o][v]));
            }
        }
    }
    for (int o = 0; o < 4; o++)
        for (int v = 0; v < vectors; v++)
            sum[o][v] = _mm256_add_epi32(sum[o][v], _mm256_madd_epi16(partial[o][v], ones));
}
#endif

static inline __attribute__((always_inline)) void FOR_ISA(layer_part)(const Layer *l, const u8 *x, u8 *y, i32 *raw,
                                                                      const i32 *style, int vectors) {
    const __m256i interleave = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5,
                                                9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (int q = 0; q < l->quads; q++) {
        __m256i sum[4][2];
        const i8 *weight = l->weight + 16 * (size_t)q * (size_t)l->groups;
        for (int o = 0; o < 4; o++) {
            for (int v = 0; v < vectors; v++) {
                if (style) {
                    __m256i biases = _mm256_loadu_si256((const __m256i *)(l->style_bias + (4 * q + o) * MOST_STYLES));
                    __m256i which = _mm256_loadu_si256((const __m256i *)(style + 8 * v));
                    sum[o][v] = _mm256_permutevar8x32_epi32(biases, which);
                } else {
                    sum[o][v] = _mm256_set1_epi32(l->bias[4 * q + o]);
                }
            }
        }
        int k = 0;
#if KERNEL == KERNEL_AVX2
        if (l->depth[q] == 4)
            for (; k + 4 <= l->groups; k += 4) FOR_ISA(block)(x + k * GROUP, weight + 16 * k, sum, vectors, 4);
        if (l->depth[q] >= 2)
            for (; k + 2 <= l->groups; k += 2) FOR_ISA(block)(x + k * GROUP, weight + 16 * k, sum, vectors, 2);
        for (; k < l->groups; k++) FOR_ISA(block)(x + k * GROUP, weight + 16 * k, sum, vectors, 1);
#else
        for (; k < l->groups; k++) {
            for (int o = 0; o < 4; o++) {
                i32 four;
                memcpy(&four, weight + 16 * k + 4 * o, 4);
                __m256i w = _mm256_set1_epi32(four);
                for (int v = 0; v < vectors; v++) {
                    __m256i in = _mm256_load_si256((const __m256i *)(x + k * GROUP + 32 * v));
                    sum[o][v] = _mm256_dpbusd_avx_epi32(sum[o][v], in, w);
                }
            }
        }
#endif
        for (int o = 0; o < 4; o++) {
            __m256 scale = _mm256_set1_ps(l->scale[4 * q + o]);
            for (int v = 0; v < vectors; v++) {
                __m256 exact = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[o][v]), scale);
                sum[o][v] = _mm256_cvttps_epi32(_mm256_round_ps(exact, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
            }
        }
        for (int v = 0; v < vectors; v++) {
            if (raw) {
                for (int o = 0; o < 4; o++)
                    _mm256_storeu_si256((__m256i *)(raw + (4 * q + o) * BATCH + 8 * v), sum[o][v]);
            } else {
                __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(sum[0][v], sum[1][v]),
                                                    _mm256_packs_epi32(sum[2][v], sum[3][v]));
                _mm256_store_si256((__m256i *)(y + (size_t)q * GROUP + 32 * v), _mm256_shuffle_epi8(bytes, interleave));
            }
        }
    }
}

#elif KERNEL == KERNEL_AVX512

/* 8 outputs (2 quads) for up to 32 samples. */
static inline __attribute__((always_inline)) void FOR_ISA(layer_part)(const Layer *l, const u8 *x, u8 *y, i32 *raw,
                                                                      const i32 *style, int vectors) {
    const __m512i interleave = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    for (int q = 0; q < l->quads; q += 2) {
        __m512i sum[8][2];
        const i8 *low = l->weight + 16 * (size_t)q * (size_t)l->groups, *high = low + 16 * (size_t)l->groups;
        for (int o = 0; o < 8; o++) {
            for (int v = 0; v < vectors; v++) {
                if (style) {
                    __m512i biases = _mm512_broadcast_i32x8(
                        _mm256_loadu_si256((const __m256i *)(l->style_bias + (4 * q + o) * MOST_STYLES)));
                    sum[o][v] = _mm512_permutexvar_epi32(_mm512_loadu_si512(style + 16 * v), biases);
                } else {
                    sum[o][v] = _mm512_set1_epi32(l->bias[4 * q + o]);
                }
            }
        }
        for (int k = 0; k < l->groups; k++) {
            __m512i in[2];
            for (int v = 0; v < vectors; v++) in[v] = _mm512_load_si512(x + k * GROUP + 64 * v);
            for (int o = 0; o < 8; o++) {
                i32 four;
                memcpy(&four, (o < 4 ? low : high) + 16 * k + 4 * (o & 3), 4);
                __m512i w = _mm512_set1_epi32(four);
                for (int v = 0; v < vectors; v++) sum[o][v] = _mm512_dpbusd_epi32(sum[o][v], in[v], w);
            }
        }
        for (int o = 0; o < 8; o++) {
            __m512 scale = _mm512_set1_ps(l->scale[4 * q + o]);
            for (int v = 0; v < vectors; v++)
                sum[o][v] = _mm512_cvt_roundps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(sum[o][v]), scale),
                                                     _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        }
        for (int v = 0; v < vectors; v++) {
            if (raw) {
                for (int o = 0; o < 8; o++) _mm512_storeu_si512(raw + (4 * q + o) * BATCH + 16 * v, sum[o][v]);
            } else {
                for (int h = 0; h < 2; h++) {
                    __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(sum[4 * h][v], sum[4 * h + 1][v]),
                                                        _mm512_packs_epi32(sum[4 * h + 2][v], sum[4 * h + 3][v]));
                    _mm512_store_si512(y + (size_t)(q + h) * GROUP + 64 * v, _mm512_shuffle_epi8(bytes, interleave));
                }
            }
        }
    }
}

#elif KERNEL == KERNEL_SSE2

/* 4 outputs for 4 samples: bytes are widened to 16 bits for pmaddwd. */
static inline void FOR_ISA(layer_part)(const Layer *l, const u8 *x, u8 *y, i32 *raw, const i32 *style, int vectors) {
    const __m128i zero = _mm_setzero_si128();
    (void)vectors;
    for (int q = 0; q < l->quads; q++) {
        __m128i sum[4][2];
        const i8 *weight = l->weight + 16 * (size_t)q * (size_t)l->groups;
        for (int o = 0; o < 4; o++) sum[o][0] = sum[o][1] = zero;
        for (int k = 0; k < l->groups; k++) {
            __m128i in = _mm_load_si128((const __m128i *)(x + k * GROUP));
            __m128i low = _mm_unpacklo_epi8(in, zero), high = _mm_unpackhi_epi8(in, zero);
            __m128i w = _mm_loadu_si128((const __m128i *)(weight + 16 * k));
            __m128i sign = _mm_cmpgt_epi8(zero, w);
            __m128i first = _mm_unpacklo_epi8(w, sign), second = _mm_unpackhi_epi8(w, sign);
            for (int o = 0; o < 4; o++) {
                __m128i two = o < 2 ? first : second;
                __m128i own = o & 1 ? _mm_unpackhi_epi64(two, two) : _mm_unpacklo_epi64(two, two);
                sum[o][0] = _mm_add_epi32(sum[o][0], _mm_madd_epi16(low, own));
                sum[o][1] = _mm_add_epi32(sum[o][1], _mm_madd_epi16(high, own));
            }
        }
        for (int o = 0; o < 4; o++) {
            i32 pairs[8];
            _mm_storeu_si128((__m128i *)pairs, sum[o][0]);
            _mm_storeu_si128((__m128i *)(pairs + 4), sum[o][1]);
            for (int s = 0; s < 4; s++) {
                i32 bias = style ? l->style_bias[(4 * q + o) * MOST_STYLES + style[s]] : l->bias[4 * q + o];
                i32 v = FOR_ISA(rounded)(bias + pairs[2 * s] + pairs[2 * s + 1], l->shift[4 * q + o]);
                if (raw) raw[(4 * q + o) * BATCH + s] = v;
                else y[(size_t)q * GROUP + 4 * s + o] = (u8)clamp(v, 0, 255);
            }
        }
    }
}

#elif KERNEL == KERNEL_NEON || KERNEL == KERNEL_NEON_DOT

/* 4 outputs for 4 samples.  The dot products are signed: 128 is taken from the inputs and made up for. */
static inline void FOR_ISA(layer_part)(const Layer *l, const u8 *x, u8 *y, i32 *raw, const i32 *style, int vectors) {
    (void)vectors;
    for (int q = 0; q < l->quads; q++) {
        int32x4_t sum[4];
        const i8 *weight = l->weight + 16 * (size_t)q * (size_t)l->groups;
        for (int o = 0; o < 4; o++) {
            i32 bias[4];
            for (int s = 0; s < 4; s++)
                bias[s] = (style ? l->style_bias[(4 * q + o) * MOST_STYLES + style[s]] : l->bias[4 * q + o]) +
                          l->offset[4 * q + o];
            sum[o] = vld1q_s32(bias);
        }
        for (int k = 0; k < l->groups; k++) {
            int8x16_t in = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(x + k * GROUP), vdupq_n_u8(0x80)));
            int8x16_t w = vld1q_s8(weight + 16 * k);
#if KERNEL == KERNEL_NEON_DOT
            sum[0] = vdotq_laneq_s32(sum[0], in, w, 0);
            sum[1] = vdotq_laneq_s32(sum[1], in, w, 1);
            sum[2] = vdotq_laneq_s32(sum[2], in, w, 2);
            sum[3] = vdotq_laneq_s32(sum[3], in, w, 3);
#else
            int32x4_t fours = vreinterpretq_s32_s8(w);
            int8x16_t own[4] = {
                vreinterpretq_s8_s32(vdupq_laneq_s32(fours, 0)), vreinterpretq_s8_s32(vdupq_laneq_s32(fours, 1)),
                vreinterpretq_s8_s32(vdupq_laneq_s32(fours, 2)), vreinterpretq_s8_s32(vdupq_laneq_s32(fours, 3))};
            for (int o = 0; o < 4; o++) {
                int16x8_t low = vmull_s8(vget_low_s8(in), vget_low_s8(own[o]));
                int16x8_t high = vmull_s8(vget_high_s8(in), vget_high_s8(own[o]));
                sum[o] = vaddq_s32(sum[o], vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
            }
#endif
        }
        for (int o = 0; o < 4; o++) {
            i32 sums[4];
            vst1q_s32(sums, sum[o]);
            for (int s = 0; s < 4; s++) {
                i32 v = FOR_ISA(rounded)(sums[s], l->shift[4 * q + o]);
                if (raw) raw[(4 * q + o) * BATCH + s] = v;
                else y[(size_t)q * GROUP + 4 * s + o] = (u8)clamp(v, 0, 255);
            }
        }
    }
}

#else

static inline void FOR_ISA(layer_part)(const Layer *l, const u8 *x, u8 *y, i32 *raw, const i32 *style, int vectors) {
    (void)vectors;
    for (int q = 0; q < l->quads; q++) {
        for (int o = 0; o < 4; o++) {
            i32 sum[4];
            const i8 *weight = l->weight + 16 * (size_t)q * (size_t)l->groups + 4 * o;
            for (int s = 0; s < 4; s++)
                sum[s] = style ? l->style_bias[(4 * q + o) * MOST_STYLES + style[s]] : l->bias[4 * q + o];
            for (int k = 0; k < l->groups; k++)
                for (int s = 0; s < 4; s++)
                    for (int j = 0; j < 4; j++) sum[s] += x[k * GROUP + 4 * s + j] * weight[16 * k + j];
            for (int s = 0; s < 4; s++) {
                i32 v = FOR_ISA(rounded)(sum[s], l->shift[4 * q + o]);
                if (raw) raw[(4 * q + o) * BATCH + s] = v;
                else y[(size_t)q * GROUP + 4 * s + o] = (u8)clamp(v, 0, 255);
            }
        }
    }
}
#endif

#if KERNEL == KERNEL_AVX512
#define LANES 16
#elif EIGHTS(KERNEL)
#define LANES 8
#else
#define LANES 4
#endif

/* One layer on n samples: bytes into y, or where y is NULL rounded raw numbers i32 [output][BATCH] into raw.
   style: that of every sample, for the first layer of a network with styles; else NULL. */
static void FOR_ISA(layer)(const Layer *l, const u8 *x, u8 *y, i32 *raw, const i32 *style, int n) {
    int at = 0;
#if LANES > 4
    for (; at + LANES < n; at += 2 * LANES) {
        if (!y) FOR_ISA(layer_part)(l, x + 4 * at, NULL, raw + at, NULL, 2);
        else if (style) FOR_ISA(layer_part)(l, x + 4 * at, y + 4 * at, NULL, style + at, 2);
        else FOR_ISA(layer_part)(l, x + 4 * at, y + 4 * at, NULL, NULL, 2);
    }
#endif
    for (; at < n; at += LANES) {
        if (!y) FOR_ISA(layer_part)(l, x + 4 * at, NULL, raw + at, NULL, 1);
        else if (style) FOR_ISA(layer_part)(l, x + 4 * at, y + 4 * at, NULL, style + at, 1);
        else FOR_ISA(layer_part)(l, x + 4 * at, y + 4 * at, NULL, NULL, 1);
    }
}

/* ---- contexts (sections 6.2 to 6.4) ---- */

static inline u8 FOR_ISA(input)(i32 d) { return (u8)(clamp(d, -128, 127) + 128); }

/* Three bytes of input for each of n differences of cells, side by side.  Writes up to 16 bytes more. */
static inline void FOR_ISA(differences)(const Cell *const *minuend, const Cell *const *subtrahend, int n, u8 *out) {
#if KERNEL == KERNEL_AVX2 || KERNEL == KERNEL_AVXVNNI || KERNEL == KERNEL_AVX512
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

/* The inputs of the network for one place, into lane 0 of `out` [group][BATCH][4]; near gets the reference and the
   window where the model copies or the place lies at an edge. */
static inline __attribute__((always_inline)) void FOR_ISA(context)(const Walk *w, const Place *at, Cell *near, u8 *out) {
    const Network *n = w->network;
    u8 bytes[4 * ((3 * NEAR + 3 + 3 * MOST_AROUND + NEAR + 1) / 4 + 8)];
    const Cell *minuend[NEAR], *subtrahend[NEAR], *place[NEAR];
    const Cell *own = w->cells + at->cell;
    if (at_edge(at)) {
        near_at_edge(w, at, near);
        for (int i = 0; i < NEAR; i++) place[i] = near + i;
    } else {
        for (int i = 0; i < NEAR; i++) place[i] = own + w->near_at[i];
        if (n->copies)
            for (int i = 0; i < NEAR; i++) near[i] = *place[i];
    }
    for (int i = 1; i < NEAR; i++) {
        minuend[i - 1] = place[i];
        subtrahend[i - 1] = place[n->origin[i]];
    }
    FOR_ISA(differences)(minuend, subtrahend, NEAR - 1, bytes);
    int used = 3 * (NEAR - 1);
    const Cell *seen = w->seen ? seen_of(w, at) : NULL;
    bytes[used++] = seen && seen->at[0] != NO_RECONSTRUCTION ? 255 : 128;
    bytes[used++] = w->across[at->x];
    bytes[used++] = w->down[at->y];
    if (!seen) {
        memset(bytes + used, 128, 3 * (size_t)n->around);
        used += 3 * n->around;
    } else {
        const Cell *reference = place[0];
        for (int i = 0; i < n->around; i++) {
            const Cell *there = seen + w->around_at[i];
            int none = there->at[0] == NO_RECONSTRUCTION;
            for (int c = 0; c < 3; c++)
                bytes[used++] = none ? 128 : FOR_ISA(input)(there->at[c] - reference->at[c]);
        }
    }
    if (n->copies) {
        i32 most = 1;
        for (int i = 0; i < NEAR; i++) most = near[i].at[0] > most ? near[i].at[0] : most;
        bytes[used++] = FOR_ISA(input)(most >> 1);
        for (int i = 0; i < NEAR; i++) bytes[used++] = FOR_ISA(input)(floor_div(127 * near[i].at[0], most));
    }
    for (int g = 0; g < n->input_groups; g++) memcpy(out + (size_t)g * GROUP, bytes + 4 * g, 4);
}

/* ---- choices (section 6.6) ---- */

/* From the raw numbers of a head, i32 [3][BATCH], the means and tables of n samples. */
static inline void FOR_ISA(choose)(const i32 *raw, const i32 *start, i32 low, i32 *mean, u32 *choice, int n) {
    for (int i = 0; i < n; i++) {
        i32 m = clamp(16 * start[i] + raw[i], 16 * low, 16 * 255);
        i32 scale = clamp(raw[BATCH + i], 0, SCALES - 1), tail = clamp(raw[2 * BATCH + i], 0, TAILS - 1);
        mean[i] = m;
        choice[i] = (u32)((m & 15) + FRACTIONS * (tail + TAILS * scale));
    }
}

/* What a decoded component tells the heads after it (section 6.5), into one group of the hidden activations. */
static inline void FOR_ISA(surprise)(const i32 *value, const i32 *mean, const u32 *choice, const i32 *reference, u8 *out,
                                     int n) {
    for (int i = 0; i < n; i++) {
        i32 error = value[i] - ((mean[i] + 7 + (mean[i] >> 4 & 1)) >> 4);
        out[4 * i] = FOR_ISA(input)(4 * error);
        out[4 * i + 1] = FOR_ISA(input)(error);
        out[4 * i + 2] = FOR_ISA(input)(value[i] - reference[i]);
        u32 scale = choice[i] / (FRACTIONS * TAILS);
        out[4 * i + 3] = FOR_ISA(input)((16 * value[i] - mean[i]) * WIDTH_FACTOR[scale & 3] >> (scale >> 2));
    }
}

/* Where chroma starts in a model with copies (section 6.8): start[1], start[2] and the clues' groups. */
static void FOR_ISA(chroma_starts)(Walk *w, int n) {
    const Network *net = w->network;
    size_t groups = (size_t)net->hidden_groups + 4;
    for (int i = 0; i < n; i++) {
        const Cell *near = w->near + (size_t)i * NEAR;
        i32 luma = w->value[0][i];
        int chosen = 0, best = -1;
        for (int k = 0; k < NEAR; k++) {
            int key = near[k].at[0] == luma ? 256 : near[k].at[0];
            if (key > best) {
                best = key;
                chosen = k;
            }
        }
        i32 bright = near[chosen].at[0];
        u8 *clues = w->hidden + ((size_t)(i / BATCH) * groups + (size_t)net->hidden_groups + 2) * GROUP + 4 * (size_t)(i % BATCH);
        for (int c = 1; c < 3; c++) {
            i32 chroma = near[chosen].at[c], start = chroma;
            if (bright > 0) start = clamp(floor_div(2 * chroma * luma + bright, 2 * bright), -255, 255);
            w->start[c][i] = start;
            /* The clue's first byte differs between Co and Cg; that of Cg waits in a group of its own. */
            clues[c == 1 ? 0 : GROUP] = FOR_ISA(input)(start - near[0].at[c]);
            clues[(c == 1 ? 0 : GROUP) + 1] = FOR_ISA(input)(bright >> 1);
            clues[(c == 1 ? 0 : GROUP) + 2] = FOR_ISA(input)(bright == luma ? 127 : (luma - bright) >> 1);
        }
    }
}

#include "_adapt.h"

/* ---- one list of places ---- */

/* Give a place its sample, in the cells and what is repeated beside them. */
static inline void FOR_ISA(put)(Walk *w, int i) {
    const Place *at = &w->places[i];
    Cell *cell = w->cells + at->cell;
    for (int c = 0; c < w->plane->components; c++) cell->at[c] = (i16)w->value[c][i];
    if (at->x == 0 || at->x == w->plane->width - 1)
        pad_row(w, at->y, at->x == 0, at->x == w->plane->width - 1);
}

static inline u32 *FOR_ISA(field)(Walk *w, int number) { return w->symbol + (size_t)number * ((size_t)w->most + BATCH); }

/* The questions of section 6.7: what is no copy stays active. */
static void FOR_ISA(ask)(Walk *w, int n) {
    const Network *net = w->network;
    const Plane *p = w->plane;
    size_t stride = (size_t)w->most + BATCH;
    for (int j = 0; j < net->copies; j++) {
        u32 *symbol = w->mode == ENCODE ? FOR_ISA(field)(w, j) : NULL;
        for (int i = 0; i < n; i++) {
            const Cell *near = w->near + (size_t)i * NEAR, *offer = near + net->copy[j];
            int asked = w->active[i], same = 1;
            for (int e = 0; e < j && asked; e++) {
                const Cell *earlier = near + net->copy[e];
                asked = earlier->at[0] != offer->at[0] || earlier->at[1] != offer->at[1] || earlier->at[2] != offer->at[2];
            }
            if (symbol) symbol[i] = NOT_CODED;
            if (!asked) continue;
            int table = w->logit[(size_t)j * stride + (size_t)i];
            if (w->mode == DECODE) {
                same = take_copy(&w->decoder, w->bank, table);
            } else {
                const Cell *cell = w->cells + w->places[i].cell;
                for (int c = 0; c < p->components; c++) {
                    i32 distance = cell->at[c] - offer->at[c];
                    same &= distance <= p->errors[c] && -distance <= p->errors[c];
                }
                if (symbol) symbol[i] = (u32)(ROWS + table) << SYMBOL_BITS | (u32)same;
                else w->bits[i] += w->bank->lengths[ROWS + table][same];
            }
            if (!same) continue;
            w->active[i] = 0;
            for (int c = 0; c < p->components; c++) w->value[c][i] = offer->at[c];
        }
    }
}

/* Code one component of places `first` to `last`, all of one step where there is adaptation: value[c] from the
   stream, or the stream's symbol from the sample. */
static int FOR_ISA(code_component)(Walk *w, int c, int first, int last) {
    const Plane *p = w->plane;
    const Bank *bank = w->bank;
    i32 error = p->errors[c], step = 2 * error + 1, low = c ? -255 : 0, *value = w->value[c];
    u32 *symbol = w->mode == ENCODE ? FOR_ISA(field)(w, w->network->copies + c) : NULL;
    int impossible = 0;
    if (w->adaptive && !c) FOR_ISA(look_around)(w, first, last);
    if (w->adaptive) FOR_ISA(adapt)(w, c);
    Decoder d = w->decoder;
    for (int i = first; i < last; i++) {
        if (symbol) symbol[i] = NOT_CODED;
        if (!w->active[i]) continue;
        Choice choice = bank->choice[w->coded_choice[c][i]];
        i32 centre = (w->coded_mean[c][i] >> 4) + choice.carry, k;
        if (w->mode == DECODE) {
            k = choice.sign * (take_mixture(&d, bank, choice.row) - REACH);
        } else {
            i32 truth = w->cells[w->places[i].cell].at[c];
            k = error ? floor_div(truth - centre + error, step) : truth - centre;
            u32 coded = (u32)(choice.sign * k + REACH);
            if (symbol) symbol[i] = (u32)choice.row << SYMBOL_BITS | coded;
            else w->bits[i] += bank->lengths[choice.row][coded];
        }
        i32 v = centre + step * k, inside = clamp(v, low, 255);
        impossible |= inside != v && !error;
        value[i] = inside;
    }
    w->decoder = d;
    if (w->adaptive) FOR_ISA(note)(w, c);
    return impossible ? IMPOSSIBLE_SAMPLE : DONE;
}

/* Whether any of the samples from `at` on is active. */
static inline int FOR_ISA(any_active)(const Walk *w, int at, int n) {
    for (int i = at; i < at + n; i++)
        if (w->active[i]) return 1;
    return 0;
}

/* Contexts, trunk and first head of the batch that begins at place `first` and has n of them. */
static void FOR_ISA(trunk)(Walk *w, int first, int n) {
    const Network *net = w->network;
    size_t groups = (size_t)net->hidden_groups + 4;
    u8 *hidden = w->hidden + (size_t)(first / BATCH) * groups * GROUP;
    for (int i = 0; i < n; i++) {
        Cell *near = w->near + (net->copies ? (size_t)(first + i) : (size_t)i) * NEAR;
        const Place *at = &w->places[first + i];
        FOR_ISA(context)(w, at, near, w->scratch[0] + 4 * i);
        const Cell *reference = at_edge(at) ? near : w->cells + at->cell - 1;
        for (int c = 0; c < 3; c++)
            w->start[c][first + i] = w->reference[c][first + i] = w->value[c][first + i] = reference->at[c];
        w->active[first + i] = 1;
    }
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

/* Code a list of places that do not depend on each other, or whose samples are all known. */
static int FOR_ISA(code_list)(Walk *w, int n) {
    const Plane *p = w->plane;
    memset(w->bits, 0, 4 * (size_t)n);
    for (int i = 0; i < n; i += BATCH) FOR_ISA(trunk)(w, i, n - i < BATCH ? n - i : BATCH);
    if (w->network->copies) FOR_ISA(ask)(w, n);
    /* Known samples go through the network first, many steps together. */
    int known = w->mode != DECODE && !(p->errors[0] || p->errors[1] || p->errors[2]), status = DONE;
    for (int c = 0; c < p->components; c++) {
        if (known) {
            for (int i = 0; i < n; i++) w->value[c][i] = w->cells[w->places[i].cell].at[c];
        } else {
            status = FOR_ISA(code_component)(w, c, 0, n);
            if (status) return status;
        }
        if (c + 1 == p->components) break;
        if (!c && w->network->copies) FOR_ISA(chroma_starts)(w, n);
        for (int i = 0; i < n; i += BATCH) FOR_ISA(chroma)(w, c + 1, i, n - i < BATCH ? n - i : BATCH);
    }
    if (!known && w->adaptive) FOR_ISA(learn)(w);
    for (int start = 0, end; known && start < n; start = end) {
        end = w->adaptive ? step_end(w, start, n) : n;
        for (int c = 0; c < p->components && !status; c++) status = FOR_ISA(code_component)(w, c, start, end);
        if (w->adaptive) FOR_ISA(learn)(w);
    }
    return status;
}

/* Append the list's symbols to out, step by step: fields in order, then y. */
static size_t FOR_ISA(gather_symbols)(Walk *w, int n, u32 *out) {
    int fields = w->network->copies + w->plane->components;
    size_t count = 0;
    for (int start = 0, end; start < n; start = end) {
        end = step_end(w, start, n);
        for (int f = 0; f < fields; f++) {
            const u32 *symbol = FOR_ISA(field)(w, f);
            for (int i = start; i < end; i++) {
                out[count] = symbol[i];
                count += symbol[i] != NOT_CODED;
            }
        }
    }
    return count;
}

/* The places i32 [n], or all samples, of a plane that is measured. */
static int FOR_ISA(measure)(Walk *w, const i32 *places, size_t n, u32 *out) {
    const Plane *p = w->plane;
    size_t total = (size_t)p->width * (size_t)p->height;
    if (!places) n = total;
    for (size_t first = 0; first < n; first += TOGETHER) {
        int m = n - first < TOGETHER ? (int)(n - first) : TOGETHER;
        for (int i = 0; i < m; i++) {
            size_t place = places ? (size_t)places[first + (size_t)i] : first + (size_t)i;
            if (place >= total) return BAD_ARGUMENT;
            i32 x = (i32)(place % (size_t)p->width), y = (i32)(place / (size_t)p->width);
            w->places[i] = (Place){x, y, (size_t)(cell_of(w, x, y) - w->cells)};
            w->style[i] = p->styles[place];
        }
        int status = FOR_ISA(code_list)(w, m);
        if (status) return status;
        memcpy(out + first, w->bits, 4 * (size_t)m);
    }
    return DONE;
}

/* See said_compare(). */
static int FOR_ISA(compare)(Walk *w, const u32 *lengths, const i32 *rectangles, size_t n, const i16 *inside, i64 *out) {
    const Plane *p = w->plane;
    for (size_t r = 0; r < n; r++) {
        const i32 *edge = rectangles + 4 * r;
        i32 top = edge[0], left = edge[1], bottom = edge[2], right = edge[3];
        if (top < 0 || left < 0 || top > bottom || left > right || bottom > p->height || right > p->width)
            return BAD_ARGUMENT;
        const i16 *value = inside;
        for (i32 y = top; y < bottom; y++) {
            for (i32 x = left; x < right; x++, value += 3) {
                const i16 *now = p->reconstruction + 3 * ((size_t)y * (size_t)p->width + (size_t)x);
                if (memcmp(now, value, 3 * sizeof(i16))) set_seen(w, x, y, value, 1);
            }
        }
        i64 more = 0;
        int listed = 0;
        i32 last_row = clamp(bottom + FARTHEST, 0, p->height), last_column = clamp(right + FARTHEST, 0, p->width);
        for (i32 y = clamp(top - FARTHEST, 0, p->height); y < last_row; y++) {
            for (i32 x = clamp(left - FARTHEST, 0, p->width); x < last_column; x++) {
                size_t place = (size_t)y * (size_t)p->width + (size_t)x;
                if (p->coded[place] && sees_change(w, x, y)) {
                    w->places[listed] = (Place){x, y, (size_t)(cell_of(w, x, y) - w->cells)};
                    w->style[listed++] = p->styles[place];
                    more -= lengths[place];
                }
                int complete = y == last_row - 1 && x == last_column - 1;
                if (listed < TOGETHER && !(complete && listed)) continue;
                int status = FOR_ISA(code_list)(w, listed);
                if (status) return status;
                for (int i = 0; i < listed; i++) more += w->bits[i];
                listed = 0;
            }
        }
        out[r] = more;
        for (i32 y = top; y < bottom; y++) {
            for (i32 x = left; x < right; x++, inside += 3) {
                const i16 *now = p->reconstruction + 3 * ((size_t)y * (size_t)p->width + (size_t)x);
                if (memcmp(now, inside, 3 * sizeof(i16))) set_seen(w, x, y, now, 0);
            }
        }
    }
    return DONE;
}

static int FOR_ISA(run)(Walk *w, const i32 *places, size_t n, u32 *out, size_t *count) {
    const Plane *p = w->plane;
    if (w->mode == MEASURE) return FOR_ISA(measure)(w, places, n, out);
    int lossless = !(p->errors[0] || p->errors[1] || p->errors[2]);
    int together = w->mode == ENCODE && lossless ? TOGETHER : 1, listed = 0;
    size_t coded = 0;
    i32 steps = steps_of(p);
    for (i32 step = 0; step < steps; step++) {
        listed += list_step(w, step, listed);
        if (!listed || (listed < together && step + 1 < steps)) continue;
        int status = FOR_ISA(code_list)(w, listed);
        if (status) return status;
        if (w->mode == ENCODE) coded += FOR_ISA(gather_symbols)(w, listed, out + coded);
        if (w->mode == DECODE || !lossless)
            for (int i = 0; i < listed; i++) FOR_ISA(put)(w, i);
        listed = 0;
    }
    if (count) *count = coded;
    return DONE;
}

#undef LANES
#undef EIGHTS
