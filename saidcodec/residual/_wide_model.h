/* What the coder of wide samples knows of an image, and how it measures numbers (bitstream_spec.md, sections 8.6.2
   and 8.6.4). */

enum {
    COMPONENTS = 4,
    MARGIN = 4,     /* cells repeated at both sides of a row, and rows that are kept of those above */
    FRACTION = 4,   /* bits of a prediction below the sample */
    UNIT = 7,       /* log2 of what a feature is where it is as large as the error that is expected */
    LOCAL_SHIFT = 3, /* how fast the sums of a segment are forgotten, */
    WIDE_SHIFT = 7,  /* and those of the image */
    LEVELS = 80,    /* of the errors close by */
    NODES = 46,     /* decisions of a sample that differ */
    KINDS = 19,     /* decisions that mixers of a level tell apart */
    EXPONENTS = 16, /* bits of a distance, most */
    CONTEXTS = 6,
    MOST_SIDE = 1 << 20
};

/* The rate of a mixer's learning: from FAST to SLOW.  How often a counter remembers that it was updated, most: the
   first of a decision, and the others. */
enum { FAST = 140, SLOW = 16, SURE_LIMIT = 400, LIMIT = 250 };

static const i32 FIRST_WEIGHT = 19660;

/* Contexts of each of the six counters of a decision. */
static const int SIZES[CONTEXTS] = {LEVELS * 8, LEVELS * 12, 16 * 81, 24 * 24, LEVELS * 16, 64 * 27};

typedef struct {
    int features, earlier, later; /* components before this one; colours after it */
    i32 top;                      /* largest sample */
    i32 *cells, *errors;         /* [MARGIN + 1][row]: samples, and what predictions missed in sixteenths */
    i32 *missed[2];              /* [row]: what each of the two predictions missed at its last sample in a column */
    i64 *local, *wide;           /* sums: [segments][count_sums(features)], and one */
    i32 *local_weight, wide_weight[FEATURES]; /* [segments][FEATURES] */
    Counter *table[CONTEXTS];    /* [SIZES][NODES] */
    Mixer *by_node;              /* [NODES][2] */
    Mixer *by_level;             /* [LEVELS][KINDS] */
    Features learned;
} Component;

typedef struct {
    Curves curves;
    i32 width, height, components, segments, step;
    size_t row;
    Component part[COMPONENTS];
    void *memory;
} Model;

/* ---- levels of numbers ---- */

static inline int bit_length(u32 v) { return v ? log2_floor(v) + 1 : 0; }

/* ---- memory ---- */

static void parts(Model *m, Arena *a) {
    size_t cells = (MARGIN + 1) * m->row;
    for (int c = 0; c < m->components; c++) {
        Component *p = &m->part[c];
        p->cells = part(a, cells, sizeof(i32));
        p->errors = part(a, cells, sizeof(i32));
        for (int i = 0; i < 2; i++) p->missed[i] = part(a, m->row, sizeof(i32));
        p->local = part(a, (size_t)m->segments * count_sums(p->features), sizeof(i64));
        p->wide = part(a, count_sums(p->features), sizeof(i64));
        p->local_weight = part(a, (size_t)m->segments * FEATURES, sizeof(i32));
        for (int i = 0; i < CONTEXTS; i++) p->table[i] = part(a, (size_t)SIZES[i] * NODES, sizeof(Counter));
        p->by_node = part(a, NODES * 2, sizeof(Mixer));
        p->by_level = part(a, LEVELS * KINDS, sizeof(Mixer));
    }
}

static void model_free(Model *m) {
    if (m) release(m->memory);
    free(m);
}

static Model *model_new(i32 width, i32 height, i32 components, const i32 *tops, i32 max_error) {
    Model *m = calloc(1, sizeof(Model));
    if (!m) return NULL;
    m->width = width;
    m->height = height;
    m->components = components;
    m->step = 2 * max_error + 1;
    m->segments = (width + SEGMENT - 1) / SEGMENT;
    m->row = (size_t)width + 2 * MARGIN;
    int colours = components & 1 ? components : components - 1;
    for (int c = 0; c < components; c++) {
        Component *p = &m->part[c];
        p->top = tops[c];
        p->earlier = c;
        p->later = c < colours ? colours - 1 - c : 0;
        p->features = 14 + 7 * p->earlier + 3 * p->later;
    }
    Arena arena = {NULL, 0, 0};
    parts(m, &arena);
    m->memory = arena.block = arena.overflow ? NULL : reserve(arena.used);
    if (!m->memory) {
        model_free(m);
        return NULL;
    }
    arena.used = 0;
    parts(m, &arena);
    fill_curves(&m->curves);
    for (int c = 0; c < components; c++) {
        Component *p = &m->part[c];
        for (int i = 0; i < CONTEXTS; i++) fill(p->table[i], sizeof(Counter) * NODES * (size_t)SIZES[i]);
        fill_mixers(p->by_node, sizeof(Mixer) * NODES * 2, FIRST_WEIGHT);
        fill_mixers(p->by_level, sizeof(Mixer) * LEVELS * KINDS, FIRST_WEIGHT);
        p->cells += MARGIN * m->row + MARGIN;
        p->errors += MARGIN * m->row + MARGIN;
        for (int i = 0; i < 2; i++) p->missed[i] += MARGIN;
    }
    return m;
}
