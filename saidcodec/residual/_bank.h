/* The bank of frozen tables, and symbols under them (bitstream_spec.md, section 7). */

/* Where a fraction of the mean, a scale and a tail lead: row, whether it is mirrored, what to add to the centre. */
typedef struct {
    u16 row;
    i8 sign;
    i8 carry;
} Choice;

/* Table t has the cumulative frequencies cumulative[t][0 ...], 2^24 from its last symbol's end on. */
typedef struct {
    u32 cumulative[ROWS + COPIES][APART];
    u16 first[ROWS][1 << LOOK_BITS]; /* the symbol that holds the lowest value with these leading bits */
    u32 lengths[ROWS + COPIES][APART]; /* bits in 2^-16 bit */
    Choice choice[SCALES * TAILS * FRACTIONS];
    u32 fraction[256]; /* of the logarithm of a number that begins with 1 and these eight bits, in 2^-16 */
    Curves curves;
    i16 slope[SCALES * TAILS][SLOPES]; /* what a wider scale costs more than a narrower one (section 6.9) */
} Bank;

static void fill_cumulative(u32 *row, const i32 *frequency, int n) {
    u32 sum = 0;
    for (int s = 0; s < WIDE; s++) {
        row[s] = sum;
        if (s < n) sum += (u32)frequency[s];
    }
}

/* Bits of a symbol of this frequency in 2^-16 bit (section 7.2). */
static u32 length_of(u32 frequency) {
    int whole = 0;
    while (frequency >> whole > 1) whole++;
    u64 z = (u64)frequency << (31 - whole);
    u32 fraction = 0;
    for (int i = 0; i < 16; i++) {
        z = z * z >> 31;
        u32 bit = (u32)(z >> 32);
        z >>= bit;
        fraction = fraction << 1 | bit;
    }
    return ((u32)(PRECISION - whole) << 16) - fraction;
}

/* Bits of the sample 0 under a mean in sixteenths, a scale and a tail. */
static i32 length_of_zero(const Bank *bank, i32 mean, i32 scale, i32 tail) {
    Choice choice = bank->choice[(mean & 15) + FRACTIONS * (tail + TAILS * scale)];
    const u32 *cumulative = bank->cumulative[choice.row] + choice.sign * (-(mean >> 4) - choice.carry) + REACH;
    return (i32)length_of(cumulative[1] - cumulative[0]);
}

/* Fill in the slopes and what decisions need, without which a plane cannot be coded with adaptation. */
EXPORT void said_bank_adapt(Bank *bank) {
    fill_curves(&bank->curves);
    for (u32 i = 0; i < 256; i++) bank->fraction[i] = (16u << 16) - length_of(256 + i);
    for (i32 scale = 0; scale < SCALES; scale++) {
        i32 wider = scale < SCALES - 1 ? scale + 1 : scale, narrower = scale ? scale - 1 : scale;
        for (i32 tail = 0; tail < TAILS; tail++) {
            for (i32 i = 0; i < SLOPES; i++) {
                i32 least = (i << (scale >> 2)) >> 2, most = (((i + 1) << (scale >> 2)) - 1) >> 2, slope = 0;
                if (most < least) most = least;
                for (i32 part = 0; part < PARTS; part++) { /* of the errors that share a place, with either sign */
                    i32 missed = (least * (PARTS - 1 - part) + most * part + 1) / (PARTS - 1);
                    if (missed > MOST_MISSED) missed = MOST_MISSED;
                    slope += length_of_zero(bank, -missed, wider, tail) - length_of_zero(bank, -missed, narrower, tail);
                    slope += length_of_zero(bank, missed, wider, tail) - length_of_zero(bank, missed, narrower, tail);
                }
                slope >>= 5;
                if (slope > INT16_MAX) slope = INT16_MAX;
                bank->slope[scale * TAILS + tail][i] = (i16)(slope < INT16_MIN ? INT16_MIN : slope);
            }
        }
    }
}

/* Fill in the code lengths, without which no plane can be measured. */
EXPORT void said_bank_measure(Bank *bank) {
    for (int t = 0; t < ROWS + COPIES; t++)
        for (int s = 0; s < (t < ROWS ? SYMBOLS : 2); s++)
            bank->lengths[t][s] = length_of(bank->cumulative[t][s + 1] - bank->cumulative[t][s]);
}

/* mixture i32 [ROWS][SYMBOLS], copy i32 [COPIES][2], row, sign and carry i32 [SCALES * TAILS * FRACTIONS]; NULL if
   there is no memory. */
EXPORT Bank *said_bank_new(const i32 *mixture, const i32 *copy, const i32 *row, const i32 *sign, const i32 *carry) {
    Bank *bank = reserve(sizeof(Bank));
    if (!bank) return NULL;
    for (int t = 0; t < ROWS; t++) {
        fill_cumulative(bank->cumulative[t], mixture + t * SYMBOLS, SYMBOLS);
        for (u32 i = 0, s = 0; i < 1u << LOOK_BITS; i++) {
            while (bank->cumulative[t][s + 1] <= i << (PRECISION - LOOK_BITS)) s++;
            bank->first[t][i] = (u16)s;
        }
    }
    for (int t = 0; t < COPIES; t++) fill_cumulative(bank->cumulative[ROWS + t], copy + 2 * t, 2);
    for (int i = 0; i < SCALES * TAILS * FRACTIONS; i++)
        bank->choice[i] = (Choice){(u16)row[i], (i8)sign[i], (i8)carry[i]};
    return bank;
}

EXPORT void said_bank_free(Bank *bank) { release(bank); }

/* ---- symbols ---- */

static inline int take_mixture(Decoder *d, const Bank *bank, int row) {
    u32 low = decoder_low(d);
    const u32 *cumulative = bank->cumulative[row];
    int s = bank->first[row][low >> (PRECISION - LOOK_BITS)];
    while (cumulative[s + 1] <= low) s++;
    decoder_advance(d, low, cumulative[s], cumulative[s + 1] - cumulative[s]);
    return s;
}

static inline int take_copy(Decoder *d, const Bank *bank, int index) {
    u32 low = decoder_low(d), no = bank->cumulative[ROWS + index][1];
    int yes = low >= no;
    decoder_advance(d, low, yes ? no : 0, yes ? (1u << PRECISION) - no : no);
    return yes;
}

/* Push the symbols u32 [n] (table << SYMBOL_BITS | symbol, or DECISION | p << 1 | bit), the last one first, on the
   stack of `count` words that `words` holds; it has room for count + n + 2.  Returns the number of words, 0 also for
   an empty stack; SIZE_MAX if a symbol does not exist. */
EXPORT size_t said_push(const Bank *bank, const u32 *symbols, size_t n, u32 *words, size_t count) {
    Encoder e;
    encoder_open(&e, words, count);
    while (n) {
        u32 symbol = symbols[--n];
        if (symbol & DECISION) {
            u32 p = (symbol & ~DECISION) >> 1;
            if (!p || p >> PROBABILITY_BITS) return SIZE_MAX;
            push_decision(&e, p, symbol & 1);
            continue;
        }
        u32 table = symbol >> SYMBOL_BITS, s = symbol & (WIDE - 1);
        if (table >= ROWS + COPIES || s >= (table < ROWS ? SYMBOLS : 2)) return SIZE_MAX;
        u32 start = bank->cumulative[table][s];
        encoder_push(&e, start, bank->cumulative[table][s + 1] - start);
    }
    return encoder_close(&e);
}
