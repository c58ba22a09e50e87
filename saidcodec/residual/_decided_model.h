/* What decisions know (section 6.10), and its memory.  Part of _plane.h. */

enum {
    SEGMENT_BITS = 4, /* a segment is 16 columns */
    OUTER = 6,     /* samples farther away whose errors are features, */
    WIDER = 7,     /* and whose values are */
    LOCAL = FEATURES + OUTER + WIDER + OTHERS,
    LOCAL_ROOM = 56, /* for the features, then the goal */
    TAUGHT = 16,   /* samples after which a segment's weights are improved */
    LOCAL_RIDGE = 4096,
    MOST_GOAL = 120,
    PLACES = 8,    /* counters of a question */
    QUESTIONS = 32,
    KINDS = 12,
    NOISES = 80,   /* levels of the errors close by */
    LENGTHS = 9,   /* bits of a distance, most */
    ANSWERS = 1 + LENGTHS + LENGTHS - 1, /* of a component, most */
    MOST_INPUT = 2047
};
static const i8 OUTER_X[OUTER] = {-3, 0, -1, 1, -3, -3}, OUTER_Y[OUTER] = {0, -3, -3, -3, -1, -2};
static const i8 WIDER_X[WIDER] = {-2, 1, -1, 2, -2, -3, 0}, WIDER_Y[WIDER] = {-1, -2, -2, -2, -2, 0, -3};
/* Contexts of each of a question's counters. */
static const int CONTEXTS[PLACES] = {NOISES * 8, NOISES * 12, 16 * 81,           24 * 24,
                                     NOISES * 16, 64 * 27,     SCALES * TAILS * 8, SCALES * NOISES};

/* What the samples of some columns have taught. */
typedef struct {
    i16 weight[LOCAL_ROOM];             /* 1 is 2^14 */
    i32 product[LOCAL + 1][LOCAL_ROOM]; /* of two features; the goal's are the last row */
    i16 taught[TAUGHT / 2][LOCAL_ROOM][2]; /* the features of two samples side by side, then their goals */
    i32 count;
} Segment;

/* What decisions of one component know. */
typedef struct {
    Segment *segment;
    Counter *counter[PLACES];                   /* [CONTEXTS][QUESTIONS] */
    Mixer *by_question, *by_noise, *by_shape;   /* [QUESTIONS], [NOISES][KINDS], [SCALES * TAILS][KINDS] */
    i16 *missed, *last;                         /* [ring]: what the local mean and the blended one missed */
    i16 *feature;                               /* [most + BATCH][LOCAL_ROOM] */
    i16 *local, *blended;                       /* [most + BATCH]: means */
} Decided;

/* The memory of decisions about planes of `width` columns: `ring` values in a ring, at most `most` samples a step. */
static Decided *decided_parts(Arena *a, int components, int width, size_t ring, size_t most) {
    size_t segments = ((size_t)width >> SEGMENT_BITS) + 1;
    Decided *decided = part(a, 3, sizeof(Decided));
    for (int c = 0; c < components; c++) {
        Decided none, *d = a->block ? decided + c : &none;
        d->segment = part(a, segments, sizeof(Segment));
        for (int i = 0; i < PLACES; i++) d->counter[i] = part(a, (size_t)CONTEXTS[i] * QUESTIONS, sizeof(Counter));
        d->by_question = part(a, QUESTIONS, sizeof(Mixer));
        d->by_noise = part(a, NOISES * KINDS, sizeof(Mixer));
        d->by_shape = part(a, SCALES * TAILS * KINDS, sizeof(Mixer));
        d->missed = part(a, ring, sizeof(i16));
        d->last = part(a, ring, sizeof(i16));
        d->feature = part(a, most * LOCAL_ROOM, sizeof(i16));
        d->local = part(a, most, sizeof(i16));
        d->blended = part(a, most, sizeof(i16));
    }
    return decided;
}

/* Counters are even, and mixers trust the tables. */
static void begin_decisions(Decided *decided, int components) {
    for (int c = 0; c < components; c++) {
        Decided *d = decided + c;
        for (int i = 0; i < PLACES; i++) fill(d->counter[i], (size_t)CONTEXTS[i] * QUESTIONS * sizeof(Counter));
        Mixer *mixers[3] = {d->by_question, d->by_noise, d->by_shape};
        const int counts[3] = {QUESTIONS, NOISES * KINDS, SCALES * TAILS * KINDS};
        for (int set = 0; set < 3; set++) {
            for (int i = 0; i < counts[set]; i++) {
                for (int j = 0; j < PLACES; j++) mixers[set][i].weight[j] = 6000;
                mixers[set][i].weight[PLACES] = 40000;
                mixers[set][i].weight[PLACES + 1] = 10000;
            }
        }
    }
}
