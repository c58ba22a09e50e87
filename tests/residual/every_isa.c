/* Every instruction set of a processor against plain C: random networks and planes, coded, measured and decoded.

   For processors on which the Python tests do not run, such as an emulated one:
       aarch64-linux-gnu-gcc -O2 -std=gnu11 -static every_isa.c && qemu-aarch64 -cpu max ./a.out */

#include "../../saidcodec/residual/_core.c"

#include <stdio.h>

static u32 seed = 1;
static i32 draw(i32 low, i32 high) { /* both included */
    seed = seed * 1664525u + 1013904223u;
    return low + (i32)((seed >> 8) % (u32)(high - low + 1));
}

static RawLayer random_layer(i32 inputs, i32 outputs, i32 shift) {
    i8 *weight = malloc((size_t)inputs * (size_t)outputs);
    i32 *bias = malloc(4 * (size_t)outputs), *shifts = malloc(4 * (size_t)outputs);
    for (i32 i = 0; i < inputs * outputs; i++) weight[i] = (i8)draw(-63, 63);
    for (i32 o = 0; o < outputs; o++) {
        bias[o] = draw(-20000, 20000);
        shifts[o] = shift ? draw(shift - 1, shift + 1) : 0;
    }
    return (RawLayer){weight, bias, shifts, inputs, outputs};
}

static Bank *random_bank(void) {
    static i32 mixture[ROWS * SYMBOLS], copy[2 * COPIES], row[SCALES * TAILS * FRACTIONS], sign[SCALES * TAILS * FRACTIONS],
        carry[SCALES * TAILS * FRACTIONS];
    for (int t = 0; t < ROWS; t++) {
        i32 left = 1 << PRECISION;
        for (int s = 1; s < SYMBOLS; s++) left -= mixture[t * SYMBOLS + s] = draw(1, 30000) >> draw(0, 14) | 1;
        mixture[t * SYMBOLS] = left;
    }
    for (int t = 0; t < COPIES; t++) copy[2 * t + 1] = (1 << PRECISION) - (copy[2 * t] = draw(1, (1 << PRECISION) - 1));
    for (int i = 0; i < SCALES * TAILS * FRACTIONS; i++) {
        row[i] = i * ROWS / (SCALES * TAILS * FRACTIONS);
        carry[i] = (i & 15) > 8;
        sign[i] = carry[i] ? -1 : 1;
    }
    Bank *bank = said_bank_new(mixture, copy, row, sign, carry);
    said_bank_measure(bank);
    said_bank_adapt(bank);
    return bank;
}

int main(void) {
    Bank *bank = random_bank();
    int compared = 0;
    for (int round = 0; round < 40; round++) {
        i32 around = draw(0, 9), copies = round % 3 ? 0 : 3, styles = draw(1, 8), hidden = draw(5, 40), told = draw(3, 4);
        i32 clues = copies ? 3 : 0, inputs = 57 + 3 * around + 3 + (copies ? 21 : 0) + styles;
        RawLayer layers[] = {random_layer(inputs, hidden, 7), random_layer(hidden, hidden, 7), random_layer(hidden, 3, 9),
                             random_layer(hidden + told + clues, 16, 7), random_layer(16, 3, 8),
                             random_layer(hidden + 2 * told + clues, 16, 7), random_layer(16, 3, 8),
                             random_layer(hidden, 3, 8)};
        i8 offsets[2 * 9];
        i32 origins[NEAR - 1], copied[3] = {0, 5, 13};
        for (int i = 0; i < 2 * around; i++) offsets[i] = (i8)draw(-2, 2);
        for (int i = 0; i < NEAR - 1; i++) origins[i] = draw(0, NEAR - 1);
        Network *network = said_network_new(layers, 2, around, offsets, origins, copies, copied, styles, 64, 32);

        enum { W = 37, H = 23, MOST = W * H * (3 * ANSWERS + 3) };
        static i16 first[W * H * 3], samples[W * H * 3], seen[W * H * 3];
        static u8 coded[W * H], style[W * H];
        static u32 symbols[2][MOST + 1], words[MOST + 3], bits[2][W * H];
        for (int i = 0; i < W * H * 3; i++) {
            first[i] = (i16)(round & 1 ? draw(0, 255) : 90 + draw(0, 7));
            seen[i] = (i16)(i % (3 * W) < 3 * W / 2 ? draw(0, 255) : NO_RECONSTRUCTION);
        }
        for (int i = 0; i < W * H; i++) {
            coded[i] = draw(0, 9) > 0;
            style[i] = (u8)draw(0, styles - 1);
        }
        Plane plane = {W, H, round % 5 ? 3 : 1, samples, coded, style, around ? seen : NULL, 0, round % 4 < 2,
                       round % 8 < 2, round % 4 == 1};
        size_t counts[2];
        int plain = ISA_COUNT - 1;
        for (int isa = plain; isa >= 0; isa--) {
            int usable, own = isa != plain;
            const char *name = said_isa(isa, &usable);
            if (!usable) continue;
            memcpy(samples, first, sizeof first);
            if (said_symbols(isa, network, bank, &plane, symbols[own], &counts[own]) ||
                said_measure(isa, network, bank, &plane, NULL, NULL, 0, bits[own]))
                return printf("%s: failed\n", name), 1;
            if (own && (counts[0] != counts[1] || memcmp(symbols[0], symbols[1], 4 * counts[0]) ||
                        memcmp(bits[0], bits[1], sizeof bits[0])))
                return printf("%s: differs in round %d\n", name, round), 1;
            size_t count = said_push(bank, symbols[own], counts[own], words, 0);
            for (int i = 0; i < W * H * plane.components; i++)
                if (coded[i / plane.components]) samples[i] = 0;
            if (said_decode(isa, network, bank, &plane, words, &count) || count ||
                memcmp(samples, first, 2 * W * H * (size_t)plane.components))
                return printf("%s: decodes wrongly in round %d\n", name, round), 1;
            compared += own;
            if (!round) printf("%s\n", name);
        }
        said_network_free(network);
    }
    printf("%d comparisons\n", compared);
    return 0;
}
