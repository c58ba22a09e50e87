/* The wavefront: a plane is coded or decoded step by step, compiled once for every instruction set (see _walk.h).

   A step has the samples of equal x + 2 y.  Lane i of a step is row top + i, so that a neighbour at (dx, dy) of all
   lanes lies in a row of memory: lanes one after the other, dx + 2 dy steps away.  A ring of such rows is kept. */

/* ---- lanes ---- */

/* What is known of a step's samples beforehand.  Returns their number. */
static int FOR_ISA(open_step)(Walk *w, i32 step) {
    const Plane *p = w->plane;
    i32 first = step < p->width ? 0 : (step - p->width) / 2 + 1, last = step / 2 < p->height ? step / 2 : p->height - 1;
    int n = last - first + 1;
    w->step = step;
    w->top = first;
    size_t start = (size_t)first * (size_t)p->width + (size_t)(step - 2 * first), apart = (size_t)p->width - 2;
    u8 *restrict active = w->active;
    u32 *restrict extra = w->extra;
    i32 *restrict style = w->style, *restrict y_truth = w->truth[0], *restrict co = w->truth[1], *restrict cg = w->truth[2];
    const u8 *restrict across = w->across + (step - 2 * first), *restrict down = w->down + first;
    int inactive = 0;
    for (int i = 0; i < n; i++) {
        size_t sample = start + (size_t)i * apart;
        style[i] = p->styles[sample];
        active[i] = p->coded[sample];
        inactive += !p->coded[sample];
        extra[i] = 128 | (u32)across[-2 * i] << 8 | (u32)down[i] << 16;
    }
    for (int i = 0; i < n && w->seen; i++) extra[i] = place_input(w, step - 2 * (first + i), first + i);
    w->inactive = inactive;
    if (w->mode == DECODE && !inactive) return n;
    const i16 *restrict samples = p->samples;
    if (p->components == 1) {
        for (int i = 0; i < n; i++) y_truth[i] = samples[start + (size_t)i * apart];
    } else {
        for (int i = 0; i < n; i++) {
            const i16 *at = samples + 3 * (start + (size_t)i * apart);
            y_truth[i] = at[0];
            co[i] = at[1];
            cg[i] = at[2];
        }
    }
    return n;
}

/* The lanes that read what lies beyond the left and the upper edge.  Returns their number, at most 4. */
static inline int FOR_ISA(edge_lanes)(const Walk *w, int n, int *lanes) {
    int count = 0;
    for (int i = 0; i < n && w->top + i < REACH_Y; i++) lanes[count++] = i;
    int last = n - 1;
    if (w->step - 2 * (w->top + last) == 0 && w->top + last >= REACH_Y) lanes[count++] = last;
    return count;
}

/* The reference and the window of one lane. */
static inline void FOR_ISA(near_of)(const Walk *w, int lane, const Cell **near) {
    for (int k = 0; k < NEAR; k++) near[k] = front_cell(w, w->step + NEAR_X[k] + 2 * NEAR_Y[k], w->top + lane + NEAR_Y[k]);
}

/* The inputs of m lanes from `first` on, into scratch[0]. */
static void FOR_ISA(front_contexts)(Walk *w, int first, int m) {
    const Network *net = w->network;
    u8 *out = w->scratch[0];
    int whole = !net->copies && !net->around; /* the inputs end with the position */
#if WIDE_VECTORS
    const Cell *near[NEAR];
    const __m256i flip = _mm256_set1_epi8((char)0x80), three = _mm256_set1_epi32(0xffffff), two = _mm256_set1_epi32(0xffff);
    FOR_ISA(near_of)(w, first, near);
    for (int l = 0; l < m; l += 8) {
        __m256i at[NEAR], low[NEAR], high[NEAR];
        for (int k = 0; k < NEAR; k++) {
            low[k] = _mm256_loadu_si256((const __m256i *)(near[k] + l));
            high[k] = _mm256_loadu_si256((const __m256i *)(near[k] + l + 4));
        }
        for (int k = 1; k < NEAR; k++) {
            int origin = net->origin[k];
            __m256i bytes = _mm256_packs_epi16(_mm256_sub_epi16(low[k], low[origin]), _mm256_sub_epi16(high[k], high[origin]));
            at[k - 1] = _mm256_xor_si256(_mm256_permute4x64_epi64(bytes, 0xd8), flip);
        }
        at[NEAR - 1] = _mm256_loadu_si256((const __m256i *)(w->extra + first + l));
        /* Three bytes of each of four differences are three groups. */
        for (int k = 0; k < NEAR; k += 4) {
            __m256i a = _mm256_and_si256(at[k], three), b = at[k + 1], c = at[k + 2], d = at[k + 3];
            __m256i *to = (__m256i *)(out + (size_t)(3 * k / 4) * GROUP + 4 * l);
            _mm256_store_si256(to, _mm256_or_si256(a, _mm256_slli_epi32(b, 24)));
            b = _mm256_and_si256(_mm256_srli_epi32(b, 8), two);
            _mm256_store_si256(to + GROUP / 32, _mm256_or_si256(b, _mm256_slli_epi32(c, 16)));
            c = _mm256_and_si256(_mm256_srli_epi32(c, 16), _mm256_set1_epi32(0xff));
            _mm256_store_si256(to + 2 * (GROUP / 32), _mm256_or_si256(c, _mm256_slli_epi32(d, 8)));
        }
    }
    if (whole) return;
    for (int l = 0; l < m; l++) {
        u8 bytes[4 * ((3 * MOST_AROUND + NEAR + 1) / 4 + 2)];
        i32 y = w->top + first + l;
        FOR_ISA(near_of)(w, first + l, near);
        FOR_ISA(further)(w, w->step - 2 * y, y, near, bytes);
        for (int g = 3 * NEAR / 4; g < net->input_groups; g++)
            memcpy(out + (size_t)g * GROUP + 4 * l, bytes + 4 * g - 3 * NEAR, 4);
    }
#else
    (void)whole;
    for (int l = 0; l < m; l++) {
        const Cell *near[NEAR];
        i32 y = w->top + first + l;
        FOR_ISA(near_of)(w, first + l, near);
        FOR_ISA(context)(w, w->step - 2 * y, y, near, out + 4 * l);
    }
#endif
}

/* Contexts, trunk and first head of all lanes. */
static void FOR_ISA(front_trunk)(Walk *w, int n) {
    int edges[REACH_Y + 1], edge_count = FOR_ISA(edge_lanes)(w, n, edges);
    Cell beyond[REACH_Y + 1][NEAR];
    const Cell *near[NEAR], *reference = front_cell(w, w->step - 1, w->top);
    for (int c = 0; c < 3; c++) {
        i32 *restrict start = w->start[c], *restrict own = w->reference[c], *restrict value = w->value[c];
        for (int i = 0; i < n; i++) start[i] = 16 * (own[i] = value[i] = reference[i].at[c]);
    }
    if (w->network->copies) {
        for (int i = 0; i < n; i++) {
            FOR_ISA(near_of)(w, i, near);
            for (int k = 0; k < NEAR; k++) w->near[(size_t)i * NEAR + (size_t)k] = *near[k];
        }
    }
    for (int e = 0; e < edge_count; e++) {
        int i = edges[e];
        near_at_edge(w, w->step - 2 * (w->top + i), w->top + i, beyond[e]);
        for (int c = 0; c < 3; c++) w->start[c][i] = 16 * (w->reference[c][i] = w->value[c][i] = beyond[e][0].at[c]);
        if (w->network->copies) memcpy(w->near + (size_t)i * NEAR, beyond[e], sizeof beyond[e]);
    }
    for (int first = 0; first < n; first += BATCH) {
        int m = FOR_ISA(batch_size)(first, n);
        FOR_ISA(front_contexts)(w, first, m);
        for (int e = 0; e < edge_count; e++) {
            int i = edges[e];
            if (i < first || i >= first + m) continue;
            for (int k = 0; k < NEAR; k++) near[k] = beyond[e] + k;
            FOR_ISA(context)(w, w->step - 2 * (w->top + i), w->top + i, near, w->scratch[0] + 4 * (i - first));
        }
        FOR_ISA(trunk)(w, first, m);
    }
}

#include "_adapt_rows.h"
#include "_adapt_lessons.h"
#include "_adapt.h"
#include "_decided.h"

/* ---- steps ---- */

/* Let the step's samples be seen by those after them, and hand them out where the plane does not have them. */
static void FOR_ISA(close_step)(Walk *w, int n, int handing_out) {
    const Plane *p = w->plane;
    Cell *row = front_cell(w, w->step, w->top);
    size_t components = (size_t)p->components, apart = ((size_t)p->width - 2) * components;
    i16 *samples = p->samples + ((size_t)w->top * (size_t)p->width + (size_t)(w->step - 2 * w->top)) * components;
    const i32 *restrict luma = w->value[0], *restrict co = w->value[1], *restrict cg = w->value[2];
    if (components == 3) {
        for (int i = 0; i < n; i++) row[i] = (Cell){{(i16)luma[i], (i16)co[i], (i16)cg[i], 0}};
    } else {
        for (int i = 0; i < n; i++) row[i].at[0] = (i16)luma[i];
    }
    for (int i = 0; i < n && handing_out; i++)
        memcpy(samples + (size_t)i * apart, row[i].at, components * sizeof(i16));
    /* The first and the last sample of a row are repeated beside it. */
    i32 left = w->top + n - 1, right = w->top;
    for (int k = 1; k <= REACH_X; k++) {
        if (w->step == 2 * left) *front_cell(w, w->step - k, left) = row[n - 1];
        if (w->step - 2 * right == p->width - 1) *front_cell(w, w->step + k, right) = row[0];
    }
}

static int FOR_ISA(code_step)(Walk *w, int n) {
    const Plane *p = w->plane;
    FOR_ISA(front_trunk)(w, n);
    for (int i = 0; i < n; i++) {
        if (w->active[i]) continue;
        for (int c = 0; c < p->components; c++) w->value[c][i] = w->truth[c][i];
    }
    if (w->network->copies) {
        FOR_ISA(ask)(w, n);
        w->inactive = 0;
        for (int i = 0; i < n; i++) w->inactive += !w->active[i];
    }
    if (w->adaptive) FOR_ISA(look_around)(w, n);
    for (int c = 0; c < p->components; c++) {
        if (c) {
            if (c == 1 && w->network->copies) FOR_ISA(chroma_starts)(w, n);
            for (int first = 0; first < n; first += BATCH) FOR_ISA(chroma)(w, c, first, FOR_ISA(batch_size)(first, n));
        }
        if (w->adaptive) FOR_ISA(adapt)(w, c, n);
        if (p->max_error) FOR_ISA(in_quanta)(w, c, n);
        int status = w->decided ? FOR_ISA(decide_component)(w, c, n) : FOR_ISA(code_component)(w, c, n);
        if (status) return status;
        if (w->adaptive) FOR_ISA(note)(w, c, n);
    }
    if (w->decided) FOR_ISA(learn_locally)(w, n);
    if (w->adaptive) FOR_ISA(learn)(w, n);
    return DONE;
}

static int FOR_ISA(walk)(Walk *w) {
    const Plane *p = w->plane;
    int handing_out = w->mode == DECODE || p->max_error;
    for (i32 step = 0; step < steps_of(p); step++) {
        int n = FOR_ISA(open_step)(w, step);
        int status = FOR_ISA(code_step)(w, n);
        if (status) return status;
        FOR_ISA(close_step)(w, n, handing_out);
    }
    return DONE;
}
