/* A residual network, laid out for the kernels (bitstream_spec.md, sections 5 and 6). */

/* A dense layer for the kernels: outputs in quads, weights [quad][group of 4 inputs][output][input]. */
typedef struct {
    int groups, quads;      /* inputs and outputs in fours, rounded up; quads is even, */
    int real_quads;         /* but those behind this have no outputs */
    i8 *weight;
    i32 *bias;              /* [4 * quads] */
    i32 *style_bias;        /* [4 * quads][MOST_STYLES], or NULL: bias with the style's inputs added */
    i32 *shift;             /* [4 * quads] */
    float *scale;           /* 2^-shift, exact */
    float *scaled_bias;     /* bias * scale, exact */
    i8 *tiles;              /* [output / 16][group / 16][16 outputs][16 groups][4]: the weights for a matrix unit */
    i32 *offset;            /* 128 times the sum of an output's weights, for signed inputs */
    u8 *run;                /* [quads][groups]: lengths of runs of groups whose products can be summed in 16 bits */
} Layer;

typedef struct {
    int trunk_layers, hidden_groups;
    int around, styles, positions, copies, surprises;
    int input_groups, around_at, luma_at;
    i8 around_x[MOST_AROUND], around_y[MOST_AROUND];
    u8 origin[NEAR], copy[MOST_COPIES];
    Layer trunk[MOST_TRUNK], head_y, hidden_chroma[2], head_chroma[2], head_copy;
} Network;

/* What Python hands over: weight i8 [in][out], bias i32 [out], shift i32 [out]. */
typedef struct {
    const i8 *weight;
    const i32 *bias;
    const i32 *shift;
    i32 inputs, outputs;
} RawLayer;

static void layer_free(Layer *l) {
    release(l->weight);
    release(l->bias);
    release(l->style_bias);
    release(l->shift);
    release(l->scale);
    release(l->scaled_bias);
    release(l->tiles);
    release(l->offset);
    release(l->run);
}

/* Split the groups of a quad into runs: sums of a run's products stay within 16 bits, whatever the inputs are.
   maddubs adds the products of two inputs. */
static void find_runs(const Layer *l, int quad) {
    u8 *run = l->run + (size_t)quad * (size_t)l->groups;
    i32 positive[8] = {0}, negative[8] = {0};
    for (int k = 0; k < l->groups; k++) {
        const i8 *weight = l->weight + 16 * ((size_t)quad * (size_t)l->groups + (size_t)k);
        i32 more[8] = {0}, less[8] = {0};
        int fits = *run < UINT8_MAX;
        for (int i = 0; i < 16; i++) {
            if (weight[i] > 0) more[i / 2] += 255 * weight[i];
            else less[i / 2] -= 255 * weight[i];
        }
        for (int i = 0; i < 8; i++)
            fits &= positive[i] + more[i] <= INT16_MAX && negative[i] + less[i] <= -(i32)INT16_MIN;
        if (k && !fits) {
            run++;
            memset(positive, 0, sizeof positive);
            memset(negative, 0, sizeof negative);
        }
        ++*run;
        for (int i = 0; i < 8; i++) {
            positive[i] += more[i];
            negative[i] += less[i];
        }
    }
}

/* Lay a layer out.  `source` i32 [inputs]: which of the raw layer's inputs each of ours is, or -1 for none. */
static int layer_pack(Layer *l, const RawLayer *raw, const i32 *source, int inputs) {
    l->groups = (inputs + 3) / 4;
    l->quads = (raw->outputs + 7) / 8 * 2;
    l->real_quads = (raw->outputs + 3) / 4;
    size_t outputs = 4 * (size_t)l->quads;
    l->weight = reserve((size_t)l->groups * outputs * 4 + ALIGNMENT);
    l->bias = reserve(4 * outputs);
    l->shift = reserve(4 * outputs);
    l->scale = reserve(4 * outputs);
    l->scaled_bias = reserve(4 * outputs);
    size_t deep = ((size_t)l->groups + TILE_GROUPS - 1) / TILE_GROUPS;
    l->tiles = reserve((outputs + TILE_OUTPUTS - 1) / TILE_OUTPUTS * deep * TILE_BYTES);
    l->offset = reserve(4 * outputs);
    l->run = reserve((size_t)l->quads * (size_t)l->groups);
    if (!l->weight || !l->bias || !l->shift || !l->scale || !l->scaled_bias || !l->tiles || !l->offset || !l->run)
        return NO_MEMORY;
    for (int o = 0; o < (int)outputs; o++) {
        l->scale[o] = 1.0f;
        if (o >= raw->outputs) continue;
        l->bias[o] = raw->bias[o];
        l->shift[o] = raw->shift[o];
        l->scale[o] = 1.0f / (float)(1 << raw->shift[o]);
        l->scaled_bias[o] = (float)raw->bias[o] * l->scale[o];
        for (int i = 0; i < inputs; i++) {
            if (source[i] < 0) continue;
            i8 w = raw->weight[(size_t)source[i] * raw->outputs + o];
            l->weight[(((size_t)(o / 4) * l->groups + i / 4) * 4 + o % 4) * 4 + i % 4] = w;
            size_t tile = (size_t)(o / TILE_OUTPUTS) * deep + (size_t)(i / 4 / TILE_GROUPS);
            l->tiles[tile * TILE_BYTES + (size_t)(o % TILE_OUTPUTS * 4 * TILE_GROUPS + i % (4 * TILE_GROUPS))] = w;
            l->offset[o] += 128 * w;
        }
    }
    for (int q = 0; q < l->quads; q++) find_runs(l, q);
    return DONE;
}

EXPORT void said_network_free(Network *n) {
    if (!n) return;
    for (int i = 0; i < n->trunk_layers; i++) layer_free(&n->trunk[i]);
    layer_free(&n->head_y);
    layer_free(&n->head_copy);
    for (int c = 0; c < 2; c++) {
        layer_free(&n->hidden_chroma[c]);
        layer_free(&n->head_chroma[c]);
    }
    release(n);
}

/* The first layer: the style's inputs are constant in a tile and become a bias of each style. */
static int pack_first(Network *n, const RawLayer *raw, int mark) {
    i32 source[3 * (NEAR - 1) + 3 + 3 * MOST_AROUND + NEAR + 4 + 3];
    int at = 0, window = 3 * (NEAR - 1), around = 3 * n->around, lumas = n->copies ? NEAR + 1 : 0;
    for (int i = 0; i < window; i++) source[at++] = i;
    for (int i = 0; i < 3; i++) source[at++] = window + around + i; /* flag, x, y */
    n->around_at = at;
    for (int i = 0; i < around; i++) source[at++] = window + i;
    n->luma_at = at;
    for (int i = 0; i < lumas; i++) source[at++] = window + around + 3 + i;
    n->input_groups = (at + 3) / 4;
    int status = layer_pack(&n->trunk[0], raw, source, at);
    if (status) return status;
    Layer *l = &n->trunk[0];
    l->style_bias = reserve(4 * (size_t)l->quads * MOST_STYLES * sizeof(i32));
    if (!l->style_bias) return NO_MEMORY;
    for (int o = 0; o < raw->outputs; o++) {
        for (int style = 0; style < MOST_STYLES; style++) {
            i32 sum = raw->bias[o];
            for (int s = 0; s < n->styles; s++)
                sum += (128 + (s == style ? mark : 0)) * raw->weight[(size_t)(at + s) * raw->outputs + o];
            l->style_bias[o * MOST_STYLES + style] = sum;
        }
    }
    return DONE;
}

/* layers: the trunk's, head_y, hidden and head of Co, hidden and head of Cg, and head_copy if copies > 0.
   around i8 [around][2]; origins and copy_of i32: numbers of the reference (0) and the window (1 ...).
   Python has checked that all shapes and values obey the specification.  NULL if there is no memory. */
EXPORT Network *said_network_new(const RawLayer *layers, i32 trunk_layers, i32 around, const i8 *around_offsets,
                                 const i32 *origins, i32 copies, const i32 *copy_of, i32 styles, i32 positions,
                                 i32 mark) {
    if (trunk_layers < 1 || trunk_layers > MOST_TRUNK || around < 0 || around > MOST_AROUND || copies < 0 ||
        copies > MOST_COPIES || styles < 1 || styles > MOST_STYLES)
        return NULL;
    Network *n = reserve(sizeof(Network));
    if (!n) return NULL;
    n->trunk_layers = trunk_layers;
    n->around = around;
    n->styles = styles;
    n->positions = positions;
    n->copies = copies;
    for (int i = 0; i < around; i++) {
        n->around_x[i] = around_offsets[2 * i];
        n->around_y[i] = around_offsets[2 * i + 1];
    }
    for (int i = 1; i < NEAR; i++) n->origin[i] = (u8)origins[i - 1];
    for (int i = 0; i < copies; i++) n->copy[i] = (u8)copy_of[i];

    i32 source[MOST_WIDTH + 16];
    for (int i = 0; i < MOST_WIDTH; i++) source[i] = i;
    int status = pack_first(n, &layers[0], mark);
    for (int i = 1; i < trunk_layers && !status; i++)
        status = layer_pack(&n->trunk[i], &layers[i], source, layers[i].inputs);
    int hidden = layers[trunk_layers - 1].outputs, clues = copies ? 3 : 0;
    n->hidden_groups = (hidden + 3) / 4;
    n->surprises = layers[trunk_layers + 3].inputs - layers[trunk_layers + 1].inputs;
    if (!status) status = layer_pack(&n->head_y, &layers[trunk_layers], source, hidden);
    for (int c = 0; c < 2 && !status; c++) {
        const RawLayer *pair = &layers[trunk_layers + 1 + 2 * c];
        status = layer_pack(&n->head_chroma[c], &pair[1], source, pair[1].inputs);
        /* What is known beside the hidden activations has groups of its own: what Y tells, what Co tells, the clues. */
        i32 apart[MOST_WIDTH + 16];
        int at = 0, from = hidden;
        for (; at < 4 * n->hidden_groups; at++) apart[at] = at < hidden ? at : -1;
        for (int part = 0; part < (copies ? 3 : c + 1); part++) {
            int present = part > c && part < 2 ? 0 : part < 2 ? n->surprises : clues;
            for (int j = 0; j < 4; j++) apart[at++] = j < present ? from++ : -1;
        }
        if (!status) status = layer_pack(&n->hidden_chroma[c], &pair[0], apart, at);
    }
    if (copies && !status) status = layer_pack(&n->head_copy, &layers[trunk_layers + 5], source, hidden);
    if (status) {
        said_network_free(n);
        return NULL;
    }
    return n;
}
