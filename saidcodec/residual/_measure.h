/* Measuring: bits of known samples at any places of a plane, compiled once for every instruction set (see _walk.h). */

/* Bits of the n samples of w->places, whose styles are in w->style, all known. */
static int FOR_ISA(measure_list)(Walk *w, int n) {
    const Plane *p = w->plane;
    memset(w->bits, 0, 4 * (size_t)n);
    for (int first = 0; first < n; first += BATCH) {
        int m = FOR_ISA(batch_size)(first, n);
        for (int i = first; i < first + m; i++) {
            const Place *at = &w->places[i];
            const Cell *own = cell_of(w, at->x, at->y), *near[NEAR];
            Cell *kept = w->near + (size_t)i * NEAR;
            int edge = at_edge(at->x, at->y);
            if (edge) near_at_edge(w, at->x, at->y, kept);
            for (int k = 0; k < NEAR; k++) near[k] = edge ? kept + k : own + w->near_at[k];
            if (w->network->copies && !edge)
                for (int k = 0; k < NEAR; k++) kept[k] = *near[k];
            FOR_ISA(context)(w, at->x, at->y, near, w->scratch[0] + 4 * (i - first));
            for (int c = 0; c < 3; c++) {
                w->start[c][i] = 16 * (w->reference[c][i] = near[0]->at[c]);
                w->truth[c][i] = own->at[c];
            }
            w->active[i] = 1;
        }
        FOR_ISA(trunk)(w, first, m);
    }
    if (w->network->copies) FOR_ISA(ask)(w, n);
    for (int c = 0; c < p->components; c++) {
        int status = FOR_ISA(code_component)(w, c, n);
        if (status) return status;
        if (c + 1 == p->components) break;
        if (!c && w->network->copies) FOR_ISA(chroma_starts)(w, n);
        for (int first = 0; first < n; first += BATCH) FOR_ISA(chroma)(w, c + 1, first, FOR_ISA(batch_size)(first, n));
    }
    return DONE;
}

/* The places i32 [n], or all samples, of a plane that is measured; styles u8 [n], or NULL for the plane's own.
   said_measure() has checked the places. */
static int FOR_ISA(measure)(Walk *w, const i32 *places, const u8 *styles, size_t n, u32 *out) {
    const Plane *p = w->plane;
    size_t total = (size_t)p->width * (size_t)p->height;
    if (!places) n = total;
    for (size_t first = 0; first < n; first += TOGETHER) {
        int m = n - first < TOGETHER ? (int)(n - first) : TOGETHER;
        for (int i = 0; i < m; i++) {
            size_t place = places ? (size_t)places[first + (size_t)i] : first + (size_t)i;
            w->places[i] = (Place){(i32)(place % (size_t)p->width), (i32)(place / (size_t)p->width)};
            w->style[i] = styles ? styles[first + (size_t)i] : p->styles[place];
        }
        int status = FOR_ISA(measure_list)(w, m);
        if (status) return status;
        memcpy(out + first, w->bits, 4 * (size_t)m);
    }
    return DONE;
}

/* See said_compare(), which has checked the rectangles. */
static int FOR_ISA(compare)(Walk *w, const u32 *lengths, const i32 *rectangles, size_t n, const i16 *inside, i64 *out) {
    const Plane *p = w->plane;
    for (size_t r = 0; r < n; r++) {
        const i32 *edge = rectangles + 4 * r;
        i32 top = edge[0], left = edge[1], bottom = edge[2], right = edge[3];
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
                    w->places[listed] = (Place){x, y};
                    w->style[listed++] = p->styles[place];
                    more -= lengths[place];
                }
                int complete = y == last_row - 1 && x == last_column - 1;
                if (listed < TOGETHER && !(complete && listed)) continue;
                int status = FOR_ISA(measure_list)(w, listed);
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
