/* Dense layers on the samples of a batch, compiled once for every instruction set (see _core.c).

   ISA names the copy, KERNEL says which instructions it may use. */

/* ---- dense layers (section 5) ---- */

#define EIGHTS(kernel) ((kernel) == KERNEL_AVX2 || (kernel) == KERNEL_AVXVNNI)

static inline i32 FOR_ISA(rounded)(i32 sum, i32 shift) { /* sum / 2^shift, halves to even */
    if (!shift) return sum;
    return (sum + (1 << (shift - 1)) - 1 + (sum >> shift & 1)) >> shift;
}

#if KERNEL == KERNEL_AVX2 || KERNEL == KERNEL_AVXVNNI

#if KERNEL == KERNEL_AVX2
/* Products of one group of inputs for 4 outputs and 8 samples a vector, in 16 bits: `partial` becomes them, or they are
   added to it. */
static inline __attribute__((always_inline)) void FOR_ISA(group)(const u8 *x, const i8 *weight, int vectors, int first,
                                                                 __m256i partial[4][2]) {
    __m256i in[2];
    for (int v = 0; v < vectors; v++) in[v] = _mm256_load_si256((const __m256i *)(x + 32 * v));
    for (int o = 0; o < 4; o++) {
        i32 four;
        memcpy(&four, weight + 4 * o, 4);
        __m256i w = _mm256_set1_epi32(four);
        for (int v = 0; v < vectors; v++) {
            __m256i product = _mm256_maddubs_epi16(in[v], w);
            if (first) partial[o][v] = product;
            /* So written, the compiler neither holds many products at once nor copies sums about. */
            else __asm__("vpaddw %1, %0, %0" : "+x"(partial[o][v]) : "x"(product));
        }
    }
}

/* sum[o][v] = the sum of the products of a quad. */
static inline __attribute__((always_inline)) void FOR_ISA(products)(const Layer *l, int q, const u8 *x, int vectors,
                                                                    __m256i sum[4][2]) {
    const __m256i ones = _mm256_set1_epi16(1);
    const i8 *weight = l->weight + 16 * (size_t)q * (size_t)l->groups, *end = weight + 16 * (size_t)l->groups;
    const u8 *run = l->run + (size_t)q * (size_t)l->groups;
    __m256i before[8]; /* in memory: the registers are for the sums of a run */
    for (int ran = 0;; ran = 1) {
        const i8 *stop = weight + 16 * *run++;
        FOR_ISA(group)(x, weight, vectors, 1, sum);
        x += GROUP;
        weight += 16;
        for (; weight + 16 < stop; weight += 32, x += 2 * GROUP) {
            FOR_ISA(group)(x, weight, vectors, 0, sum);
            FOR_ISA(group)(x + GROUP, weight + 16, vectors, 0, sum);
        }
        if (weight < stop) {
            FOR_ISA(group)(x, weight, vectors, 0, sum);
            x += GROUP;
            weight += 16;
        }
        for (int o = 0; o < 4; o++)
            for (int v = 0; v < vectors; v++) sum[o][v] = _mm256_madd_epi16(sum[o][v], ones);
        if (ran)
            for (int o = 0; o < 4; o++)
                for (int v = 0; v < vectors; v++) sum[o][v] = _mm256_add_epi32(sum[o][v], before[2 * o + v]);
        if (weight == end) break;
        for (int o = 0; o < 4; o++)
            for (int v = 0; v < vectors; v++) before[2 * o + v] = sum[o][v];
        __asm__ volatile("" ::: "memory");
    }
}
#else
static inline __attribute__((always_inline)) void FOR_ISA(products)(const Layer *l, int q, const u8 *x, int vectors,
                                                                    __m256i sum[4][2]) {
    const i8 *weight = l->weight + 16 * (size_t)q * (size_t)l->groups;
    for (int o = 0; o < 4; o++)
        for (int v = 0; v < vectors; v++) sum[o][v] = _mm256_setzero_si256();
    for (int k = 0; k < l->groups; k++) {
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
}
#endif

static inline __attribute__((always_inline)) void FOR_ISA(layer_part)(const Layer *l, const u8 *x, u8 *y, i32 *raw,
                                                                      const i32 *style, int vectors) {
    const __m256i interleave = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5,
                                                9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (int q = 0; q < l->real_quads; q++) {
        __m256i sum[4][2];
        FOR_ISA(products)(l, q, x, vectors, sum);
        for (int o = 0; o < 4; o++) {
            int output = 4 * q + o;
            __m256 scale = _mm256_set1_ps(l->scale[output]);
            for (int v = 0; v < vectors; v++) {
                __m256 exact;
                if (style) {
                    __m256i biases = _mm256_loadu_si256((const __m256i *)(l->style_bias + output * MOST_STYLES));
                    __m256i which = _mm256_loadu_si256((const __m256i *)(style + 8 * v));
                    sum[o][v] = _mm256_add_epi32(sum[o][v], _mm256_permutevar8x32_epi32(biases, which));
                    exact = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[o][v]), scale);
                } else { /* sum, bias and both together stay below 2^24 */
                    exact = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[o][v]), scale, _mm256_set1_ps(l->scaled_bias[output]));
                }
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

#elif KERNEL == KERNEL_AMX

/* 16 outputs of 16 samples: sums of a tile, of which the first 4 * `quads` outputs exist. */
static inline __attribute__((always_inline)) void FOR_ISA(finish)(const i32 (*sums)[16], const Layer *l, int q, int quads,
                                                                  u8 *y, i32 *raw, const i32 *style) {
    const __m512i interleave = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m512i which = style ? _mm512_loadu_si512(style) : _mm512_setzero_si512();
    for (int h = 0; h < quads; h++) {
        __m512i four[4];
        for (int o = 0; o < 4; o++) {
            int output = 4 * (q + h) + o;
            __m512i sum = _mm512_load_si512(sums[4 * h + o]);
            __m512 scale = _mm512_set1_ps(l->scale[output]), exact;
            if (style) {
                __m512i biases = _mm512_broadcast_i32x8(
                    _mm256_loadu_si256((const __m256i *)(l->style_bias + output * MOST_STYLES)));
                sum = _mm512_add_epi32(sum, _mm512_permutexvar_epi32(which, biases));
                exact = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale);
            } else { /* sum, bias and both together stay below 2^24 */
                exact = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, _mm512_set1_ps(l->scaled_bias[output]));
            }
            four[o] = _mm512_cvt_roundps_epi32(exact, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        }
        if (raw) {
            for (int o = 0; o < 4; o++) _mm512_storeu_si512(raw + (4 * (q + h) + o) * BATCH, four[o]);
        } else {
            __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(four[0], four[1]), _mm512_packs_epi32(four[2], four[3]));
            _mm512_store_si512(y + (size_t)(q + h) * GROUP, _mm512_shuffle_epi8(bytes, interleave));
        }
    }
}

/* 32 outputs for up to 32 samples.  The weights' tiles end with zeros, so that it does not matter what the inputs'
   last tile holds behind them. */
static inline __attribute__((always_inline)) void FOR_ISA(layer_part)(const Layer *l, const u8 *x, u8 *y, i32 *raw,
                                                                      const i32 *style, int vectors) {
    i32 sums[16][16] __attribute__((aligned(64)));
    int deep = (l->groups + TILE_GROUPS - 1) / TILE_GROUPS;
    __asm__ volatile("" ::: "memory"); /* the compiler does not see that tiles are loaded from memory */
    for (int q = 0; q < l->quads; q += 8) {
        int two = q + 4 < l->quads;
        const i8 *weight = l->tiles + (size_t)(q / 4) * (size_t)deep * TILE_BYTES;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int k = 0; k < deep; k++, weight += TILE_BYTES) {
            const u8 *in = x + (size_t)k * TILE_GROUPS * GROUP;
            _tile_loadd(4, weight, 64);
            _tile_loadd(6, in, GROUP);
            _tile_dpbsud(0, 4, 6);
            if (two) {
                _tile_loadd(5, weight + (size_t)deep * TILE_BYTES, 64);
                _tile_dpbsud(2, 5, 6);
            }
            if (vectors < 2) continue;
            _tile_loadd(7, in + 64, GROUP);
            _tile_dpbsud(1, 4, 7);
            if (two) _tile_dpbsud(3, 5, 7);
        }
        const i32(*done)[16] = (const i32(*)[16])sums;
        for (int v = 0; v < vectors; v++) {
            u8 *to = y ? y + 64 * v : NULL;
            i32 *numbers = raw ? raw + 16 * v : NULL;
            const i32 *own = style ? style + 16 * v : NULL;
            int quads = l->quads - q;
            if (v) _tile_stored(1, sums, 64);
            else _tile_stored(0, sums, 64);
            FOR_ISA(finish)(done, l, q, quads < 4 ? quads : 4, to, numbers, own);
            if (!two) continue;
            if (v) _tile_stored(3, sums, 64);
            else _tile_stored(2, sums, 64);
            FOR_ISA(finish)(done, l, q + 4, quads < 8 ? quads - 4 : 4, to, numbers, own);
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

#if LONG_VECTORS
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
