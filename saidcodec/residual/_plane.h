/* Planes, and the memory of a walk over one (bitstream_spec.md, section 6). */

/* ---- adaptation (section 6.9) ---- */

enum {
    CLOSE = 6, /* neighbours whose errors of all components are features, and whose values are */
    FAR = 5,   /* neighbours whose errors of the own component are */
    FEATURES = 3 * CLOSE + FAR + CLOSE + 2 + 1,
    OTHERS = 8, /* differences of the other components' values */
    NEARBY = 32, /* features of the prediction that follows its row */
    PARITIES = 4,
    TEACHING = 3, /* every so many steps teach the weights of a parity, */
    PERIOD = 128, /* which are solved for after so many samples */
    TOGETHER_SUMMED = 512, /* samples whose products are summed up at once, most */
    LEVELS = 8, /* of the errors around */
    RIDGE = 4096,
    MOST_ERROR = 2047, /* sixteenths */
    OUTSIDE = INT16_MIN,
    ROOM_FOR_SCALES = 64 /* in a table with a number for each */
};
static const i8 CLOSE_X[CLOSE] = {-1, 0, -1, 1, -2, 0}, CLOSE_Y[CLOSE] = {0, -1, -1, -1, 0, -2};
static const i8 FAR_X[FAR] = {-2, 1, -1, 2, -2}, FAR_Y[FAR] = {-1, -2, -2, -2, -2};
static const i8 ENERGY_WEIGHT[CLOSE] = {2, 2, 1, 1, 1, 1};
static const i8 LEVEL_EDGE[LEVELS - 1] = {6, 10, 16, 24, 34, 48, 72};
/* 2^15 times a quarter of what turns sixteenths of a sample value into 32nds of a scale's core width. */
static const i16 FEATURE_FACTOR[ROOM_FOR_SCALES] = {
    32767, 32767, 32767, 32767, 32767, 32767, 32767, 27554, 23170, 19484, 16384, 13777, 11585, 9742, 8192, 6889,
    5793, 4871, 4096, 3444, 2896, 2435, 2048, 1722, 1448, 1218, 1024, 861, 724, 609, 512, 431,
    362, 304, 256, 215, 181, 152, 128, 108, 91, 76, 64, 54,
};

/* The way back, from 32nds of the core's width in 2^-5 to sixteenths: these times 2^(s >> 2), of a scale s from 6 on, in
   2^-17. */
static const i16 WIDTH[ROOM_FOR_SCALES] = {
    256, 256, 256, 256, 256, 256, 256, 304, 181, 215, 256, 304, 181, 215, 256, 304, 181, 215, 256, 304, 181, 215,
    256, 304, 181, 215, 256, 304, 181, 215, 256, 304, 181, 215, 256, 304, 181, 215, 256, 304, 181, 215, 256, 304,
};

/* What is added to a scale index, in 2^-16, and how many samples it was learnt from, at most 256. */
typedef struct {
    i32 scale, seen;
} Shift;

/* What a parity has taught of each component. */
typedef struct {
    i32 weight[3][FEATURES]; /* 1 is 2^14 */
    i64 products[3][FEATURES + 1][FEATURES]; /* of features k and j where j <= k; the goal's are the last row */
    int waiting; /* samples that have not been summed up yet */
    int taught;  /* samples since the weights were solved for */
} Parity;

typedef struct {
    Parity parity[PARITIES]; /* only the first where the plane is not by_parity */
    Shift shift[3][SCALES][LEVELS];
} Adaptive;

#include "_decided_model.h"

/* ---- planes ---- */

typedef struct {
    i16 at[4]; /* Y, Co, Cg and an idle lane */
} Cell;

/* One plane, as in engine.py; core.py fills it in. */
typedef struct {
    i32 width, height, components;
    i16 *samples;              /* [height][width][components] */
    const u8 *coded;           /* [height][width] */
    const u8 *styles;          /* [height][width] */
    const i16 *reconstruction; /* [height][width][3] or NULL */
    i32 max_error;             /* of a sample; 0: lossless */
    i32 adaptive;              /* whether the plane is coded with adaptation (section 6.9), */
    i32 by_parity;             /* with weights for each parity, */
    i32 decided;               /* and by decisions (section 6.10) */
} Plane;

/* A sample that is measured. */
typedef struct {
    i32 x, y;
} Place;

/* A part of a plane: a rectangle about all that is measured, however little lies in it. */
typedef struct {
    i32 left, top, right, bottom;
} Area;

typedef struct {
    const Network *network;
    const Bank *bank;
    const Plane *plane;
    int mode, most; /* most: samples in a list */
    Area area;      /* what of the plane is in memory: all of it, or what measured samples see */
    Cell *seen;     /* the area's reconstruction, with FARTHEST samples around; NULL if there is none */
    size_t seen_row;
    ptrdiff_t around_at[MOST_AROUND];
    u8 *across, *down;       /* the inputs of x and y, in the area */
    i32 *style;              /* [most + BATCH] */
    Cell *near;              /* [most + BATCH][NEAR]: the reference and the window, where they are needed */
    i32 *truth[3], *value[3], *reference[3], *start[3]; /* [most + BATCH] */
    i32 *mean[3], *coded_mean[3];   /* the network's, and what samples are coded with */
    u32 *choice[3], *coded_choice[3];
    u8 *active;              /* whether the components are coded */
    u8 *logit;               /* [MOST_COPIES][most + BATCH] */
    u8 *hidden;              /* [batches][hidden_groups + 4] groups */
    u8 *scratch[2];
    i32 *raw;                /* [outputs of a head][BATCH] */
    u32 *bits;               /* [most + BATCH]; only where it measures, as all that follows */
    Place *places;           /* [most + BATCH] */
    Cell *cells;             /* [rows][row_cells], the area's samples, with REACH_X columns at both sides */
    u8 *changed;             /* laid out as `seen`: what differs from the plane's reconstruction */
    size_t row_cells;
    ptrdiff_t near_at[NEAR]; /* offsets in cells */
    i32 step, top;           /* of the wavefront: where it stands, and the row of its first lane */
    int inactive;            /* lanes of the step */
    u32 *extra;              /* [most + BATCH]: the flag of the reconstruction and the position as inputs */
    Cell *front;             /* [RING][lanes]: the samples of the last steps and what is repeated beside them */
    size_t lanes;            /* REACH_Y + height + BATCH */
    u32 *out;                /* symbols */
    size_t count;
    Decoder decoder;
    Adaptive *adaptive;      /* NULL without adaptation, as all that follows */
    /* [RING][lanes] of every component: the network's errors, what is left of them after its correction, the samples,
       OUTSIDE where there are none, and the sizes of what the two corrected means missed. */
    i16 *error[3], *left[3], *known[3], *missed[2][3];
    i16 *feature[3];         /* [FEATURES + 1 + OTHERS][most + BATCH]: the goal is row FEATURES */
    i16 *lesson[PARITIES][3];  /* [FEATURES + 4][most + PERIOD + BATCH]: features that wait, the goal and spare rows */
    i16 *row_weight[3];      /* [NEARBY][rows]: of the rows from first_row - REACH_Y on */
    size_t rows;
    i32 first_row;
    /* [most + BATCH] of every component: the network's mean, the two corrected ones, what is coded with, the feature
       factor, the energy and the level of the errors around, the network's scale. */
    i16 *lane_mean[3], *lane_wide[3], *lane_near[3], *lane_coded[3], *factor[3], *energy[3];
    u8 *lane_scale[3], *level[3];
    i16 *width, *pace;       /* [most + BATCH] */
    i32 *sum, *around[2];    /* likewise */
    i16 *smooth;             /* [NEARBY][rows] */
    Decided *decided;        /* of each component; NULL where the plane is coded by symbols */
    i16 *extra_feature;      /* [OUTER + WIDER][most + BATCH] */
    void *memory;
} Walk;

static inline i32 floor_div(i32 a, i32 b) { /* b > 0 */
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

/* A word whose lowest byte comes first in memory. */
static inline u32 little(u32 v) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap32(v);
#else
    return v;
#endif
}

/* Where a sample lies that is measured. */
static inline Cell *cell_of(const Walk *w, i32 x, i32 y) {
    return w->cells + (size_t)(y - w->area.top) * w->row_cells + (size_t)(x - w->area.left + REACH_X);
}

/* Where the wavefront keeps row y of a step. */
static inline size_t lane_of(const Walk *w, i32 step, i32 y) {
    return (size_t)(step & (RING - 1)) * w->lanes + (size_t)(y + REACH_Y);
}

static inline Cell *front_cell(const Walk *w, i32 step, i32 y) { return w->front + lane_of(w, step, y); }

static inline i16 *lane_row(const Walk *w, i16 *ring, i32 step, i32 y) { return ring + lane_of(w, step, y); }

static void load_samples(Walk *w) {
    const Plane *p = w->plane;
    for (i32 y = w->area.top; y < w->area.bottom; y++) {
        const i16 *row = p->samples + (size_t)y * (size_t)p->width * (size_t)p->components;
        for (i32 x = w->area.left - REACH_X; x < w->area.right + REACH_X; x++) {
            const i16 *from = row + (size_t)clamp(x, 0, p->width - 1) * (size_t)p->components;
            Cell *to = cell_of(w, x, y);
            for (int c = 0; c < p->components; c++) to->at[c] = from[c];
        }
    }
}

static void load_reconstruction(Walk *w) {
    const Plane *p = w->plane;
    Cell *to = w->seen;
    for (i32 y = w->area.top - FARTHEST; y < w->area.bottom + FARTHEST; y++) {
        const i16 *from = p->reconstruction + 3 * (size_t)clamp(y, 0, p->height - 1) * (size_t)p->width;
        for (i32 x = w->area.left - FARTHEST; x < w->area.right + FARTHEST; x++, to++)
            memcpy(to->at, from + 3 * (size_t)clamp(x, 0, p->width - 1), 3 * sizeof(i16));
    }
}

/* Where (x, y) lies in `seen` and `changed`. */
static inline size_t seen_at(const Walk *w, i32 x, i32 y) {
    return (size_t)(y - w->area.top + FARTHEST) * w->seen_row + (size_t)(x - w->area.left + FARTHEST);
}

static inline const Cell *seen_of(const Walk *w, i32 x, i32 y) { return w->seen + seen_at(w, x, y); }

/* The inputs that follow the window's: whether there is a reconstruction, and the position; from the lowest byte. */
static inline u32 place_input(const Walk *w, i32 x, i32 y) {
    u32 flag = w->seen && seen_of(w, x, y)->at[0] != NO_RECONSTRUCTION ? 255 : 128;
    return flag | (u32)w->across[x] << 8 | (u32)w->down[y] << 16;
}

/* Let the reconstruction be another at (x, y), also where it is repeated. */
static void set_seen(Walk *w, i32 x, i32 y, const i16 *value, int changed) {
    const Plane *p = w->plane;
    i32 top = y ? y : -FARTHEST, bottom = y < p->height - 1 ? y : y + FARTHEST;
    i32 left = x ? x : -FARTHEST, right = x < p->width - 1 ? x : x + FARTHEST;
    for (i32 row = top; row <= bottom; row++) {
        for (i32 column = left; column <= right; column++) {
            size_t at = seen_at(w, column, row);
            memcpy(w->seen[at].at, value, 3 * sizeof(i16));
            w->changed[at] = (u8)changed;
        }
    }
}

/* Whether the network sees a change from (x, y). */
static int sees_change(const Walk *w, i32 x, i32 y) {
    const u8 *own = w->changed + seen_at(w, x, y);
    int found = own[0];
    for (int i = 0; i < w->network->around && !found; i++) found = own[w->around_at[i]];
    return found;
}

/* The reference and the window by the letter of sections 6.2 and 6.3, for places near the edges. */
static void near_at_edge(const Walk *w, i32 x, i32 y, Cell *near) {
    i32 width = w->plane->width;
    for (int i = 0; i < NEAR; i++) {
        i32 row = y + NEAR_Y[i] < 0 ? 0 : y + NEAR_Y[i];
        i32 column = clamp(x + NEAR_X[i], 0, width - 1), latest = x + 2 * (y - row) - 1;
        if (column > latest) column = latest;
        if (!i) { /* the reference: the sample before, or the first one of the row above */
            row = x > 0 ? y : y - 1;
            column = row < 0 ? -1 : x > 0 ? x - 1 : 0;
        }
        if (column >= 0) near[i] = w->mode == MEASURE ? *cell_of(w, column, row) : *front_cell(w, column + 2 * row, row);
        else near[i] = i ? near[0] : (Cell){{128, 0, 0, 0}};
    }
}

static inline int at_edge(i32 x, i32 y) { return x == 0 || y < REACH_Y; }

/* ---- memory of a walk ---- */

/* Cells of `seen`. */
static size_t seen_size(const Walk *w) {
    return w->seen_row * (size_t)(w->area.bottom - w->area.top + 2 * FARTHEST);
}

static void parts_of_measure(Walk *w, Arena *a, size_t most) {
    const Plane *p = w->plane;
    w->bits = part(a, most, sizeof(u32));
    w->places = part(a, most, sizeof(Place));
    w->cells = part(a, w->row_cells * (size_t)(w->area.bottom - w->area.top), sizeof(Cell));
    if (p->reconstruction) w->changed = part(a, seen_size(w), 1);
}

static void parts_of_adaptation(Walk *w, Arena *a, size_t most) {
    w->adaptive = part(a, 1, sizeof(Adaptive));
    w->width = part(a, most, sizeof(i16));
    w->pace = part(a, most, sizeof(i16));
    w->smooth = part(a, NEARBY * w->rows, sizeof(i16));
    w->sum = part(a, most, sizeof(i32));
    for (int i = 0; i < 2; i++) w->around[i] = part(a, most, sizeof(i32));
    for (int c = 0; c < 3; c++) {
        w->error[c] = part(a, RING * w->lanes, sizeof(i16));
        w->left[c] = part(a, RING * w->lanes, sizeof(i16));
        w->known[c] = part(a, RING * w->lanes, sizeof(i16));
        for (int i = 0; i < 2; i++) w->missed[i][c] = part(a, RING * w->lanes, sizeof(i16));
        w->feature[c] = part(a, (FEATURES + 1 + OTHERS) * most, sizeof(i16));
        for (int f = 0; f < (w->plane->by_parity ? PARITIES : 1); f++)
            w->lesson[f][c] = part(a, (FEATURES + 4) * (most + PERIOD), sizeof(i16));
        w->row_weight[c] = part(a, NEARBY * w->rows, sizeof(i16));
        w->lane_mean[c] = part(a, most, sizeof(i16));
        w->lane_wide[c] = part(a, most, sizeof(i16));
        w->lane_near[c] = part(a, most, sizeof(i16));
        w->lane_coded[c] = part(a, most, sizeof(i16));
        w->factor[c] = part(a, most, sizeof(i16));
        w->energy[c] = part(a, most, sizeof(i16));
        w->lane_scale[c] = part(a, most, 1);
        w->level[c] = part(a, most, 1);
    }
}

static void parts_of_walk(Walk *w, Arena *a) {
    const Plane *p = w->plane;
    const Network *n = w->network;
    size_t most = (size_t)w->most + BATCH;
    w->seen = p->reconstruction ? part(a, seen_size(w), sizeof(Cell)) : NULL;
    w->across = part(a, (size_t)p->width, 1);
    w->down = part(a, (size_t)p->height, 1);
    w->style = part(a, most, sizeof(i32));
    w->near = part(a, n->copies || w->mode == MEASURE ? most * NEAR : 0, sizeof(Cell));
    for (int c = 0; c < 3; c++) {
        w->truth[c] = part(a, most, sizeof(i32));
        w->value[c] = part(a, most, sizeof(i32));
        w->reference[c] = part(a, most, sizeof(i32));
        w->start[c] = part(a, most, sizeof(i32));
        w->coded_mean[c] = w->mean[c] = part(a, most, sizeof(i32));
        w->coded_choice[c] = w->choice[c] = part(a, most, sizeof(u32));
        if (!p->adaptive && !p->max_error) continue;
        w->coded_mean[c] = part(a, most, sizeof(i32));
        w->coded_choice[c] = part(a, most, sizeof(u32));
    }
    w->active = part(a, most, 1);
    w->logit = part(a, (size_t)n->copies * most, 1);
    /* The last layers read tiles that may end behind what belongs to them. */
    w->hidden = part(a, (most / BATCH + 1) * (size_t)(n->hidden_groups + 4) + TILE_GROUPS, GROUP);
    size_t widest = (size_t)n->input_groups > MOST_WIDTH / 4 ? (size_t)n->input_groups : MOST_WIDTH / 4;
    for (int i = 0; i < 2; i++) w->scratch[i] = part(a, widest + TILE_GROUPS, GROUP);
    w->raw = part(a, (MOST_COPIES + 7) * BATCH, sizeof(i32));
    if (w->mode == MEASURE) {
        parts_of_measure(w, a, most);
        return;
    }
    w->extra = part(a, most, sizeof(u32));
    w->front = part(a, RING * w->lanes, sizeof(Cell));
    if (p->adaptive) parts_of_adaptation(w, a, most);
    if (p->decided) {
        w->extra_feature = part(a, (OUTER + WIDER) * most, sizeof(i16));
        w->decided = decided_parts(a, p->components, p->width, RING * w->lanes, most);
    }
}

static size_t most_in_step(const Plane *p) {
    size_t rows = (size_t)p->height, columns = ((size_t)p->width + 1) / 2;
    return rows < columns ? rows : columns;
}

static i32 steps_of(const Plane *p) { return p->width + 2 * (p->height - 1); }

static int is_sound(const Plane *p) {
    return p->width >= 1 && p->height >= 1 && (p->components == 1 || p->components == 3) &&
           (i64)p->width * p->height <= (i64)1 << 28;
}

static Area whole_area(const Plane *p) { return (Area){0, 0, p->width, p->height}; }

/* Let an area hold a rectangle of samples, too, and the rows that their windows reach; columns beyond an area are
   in memory anyway. */
static void widen(Area *area, const Plane *p, i32 left, i32 top, i32 right, i32 bottom) {
    left = clamp(left, 0, area->left);
    top = clamp(top - REACH_Y, 0, area->top);
    right = clamp(right, area->right, p->width);
    bottom = clamp(bottom, area->bottom, p->height);
    *area = (Area){left, top, right, bottom};
}

/* What samples at some places see; 0 where one is outside the plane. */
static int area_of_places(const Plane *p, const i32 *places, size_t n, Area *area) {
    i64 total = (i64)p->width * p->height;
    for (size_t i = 0; i < n; i++) {
        if (places[i] < 0 || places[i] >= total) return 0;
        i32 x = places[i] % p->width, y = places[i] / p->width;
        if (!i) *area = (Area){x, y, x + 1, y + 1};
        widen(area, p, x, y, x + 1, y + 1);
    }
    return 1;
}

/* What the samples see that see a change in a rectangle (top, left, bottom, right); 0 where one is no part of the
   plane. */
static int area_of_rectangles(const Plane *p, const i32 *rectangles, size_t n, Area *area) {
    for (size_t i = 0; i < n; i++) {
        i32 top = rectangles[4 * i], left = rectangles[4 * i + 1];
        i32 bottom = rectangles[4 * i + 2], right = rectangles[4 * i + 3];
        if (top < 0 || left < 0 || top > bottom || left > right || bottom > p->height || right > p->width) return 0;
        if (!i) *area = (Area){left, top, right, bottom};
        widen(area, p, left - FARTHEST, top - FARTHEST, right + FARTHEST, bottom + FARTHEST);
    }
    return 1;
}

static int walk_open(Walk *w, const Network *network, const Bank *bank, const Plane *p, int mode, Area area) {
    memset(w, 0, sizeof *w);
    if (!is_sound(p)) return BAD_ARGUMENT;
    w->network = network;
    w->bank = bank;
    w->plane = p;
    w->mode = mode;
    w->most = mode == MEASURE ? TOGETHER : (int)most_in_step(p);
    w->area = area;
    w->row_cells = (size_t)(area.right - area.left + 2 * REACH_X);
    w->seen_row = (size_t)(area.right - area.left + 2 * FARTHEST);
    /* An odd number of cache lines in a row of lanes keeps the rows out of each other's cache sets. */
    w->lanes = (((size_t)p->height + REACH_Y + BATCH + 31) / 32 | 1) * 32;
    w->rows = (2 * ((size_t)w->most + REACH_Y + BATCH) / 32 | 1) * 32 + 32;
    for (int i = 0; i < NEAR; i++) w->near_at[i] = NEAR_Y[i] * (ptrdiff_t)w->row_cells + NEAR_X[i];
    for (int i = 0; i < network->around; i++)
        w->around_at[i] = network->around_y[i] * (ptrdiff_t)w->seen_row + network->around_x[i];
    Arena arena = {NULL, 0, 0};
    parts_of_walk(w, &arena);
    if (arena.overflow) return NO_MEMORY;
    arena.block = w->memory = reserve(arena.used);
    if (!w->memory) return NO_MEMORY;
    arena.used = 0;
    parts_of_walk(w, &arena);
    for (i32 x = area.left; x < area.right; x++) w->across[x] = (u8)(128 + (i64)network->positions * x / p->width);
    for (i32 y = area.top; y < area.bottom; y++) w->down[y] = (u8)(128 + (i64)network->positions * y / p->height);
    if (p->reconstruction) load_reconstruction(w);
    if (mode == MEASURE) load_samples(w);
    for (size_t i = 0; w->adaptive && i < RING * w->lanes; i++) w->known[0][i] = w->known[1][i] = w->known[2][i] = OUTSIDE;
    if (w->decided) begin_decisions(w->decided, p->components);
    return DONE;
}

static void walk_close(Walk *w) { release(w->memory); }
