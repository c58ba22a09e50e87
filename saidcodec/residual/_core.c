/* The C core of the residual engine: contexts, integer network, choice of tables, and the ANS coder of one plane.

   bitstream_spec.md, sections 3, 5, 6 and 7, defines what it computes; reference.py is the same in NumPy, and both
   give the same bytes.  Python calls it through ctypes (core.py), which checks every array beforehand; all that
   comes from a file is checked here.  No function keeps a pointer to an array of the caller.

   Samples ride in the lanes of vectors.  The activations of BATCH samples lie as [group of 4 channels][sample][4
   bytes], so that one 32-bit word of weights serves all samples, and a layer's output is the next one's input.

   _walk.h is compiled once for every instruction set. */

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define ON_X86 1
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__GNUC__) && defined(__aarch64__)
#define ON_ARM 1
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

#include <limits.h>

#define INPUTS 16 /* of a mixer, the last five always 0 */
#include "_shared.h"
#include "_odds.h"

enum {
    BATCH = 32,       /* samples that go through the network together */
    GROUP = 4 * BATCH, /* bytes of one group of 4 channels */
    ROWS = 324,       /* mixture tables */
    COPIES = 49,      /* tables of a question */
    SYMBOLS = 1021,   /* symbols of a mixture table */
    SYMBOL_BITS = 10, /* a coded symbol is table << SYMBOL_BITS | symbol */
    WIDE = 1 << SYMBOL_BITS,
    APART = WIDE + 16, /* numbers from table to table: a power of two would put all middles into one cache set */
    REACH = 510,
    SLOPES = 128, /* errors that a scale's slope is tabulated for */
    PARTS = 4,
    MOST_MISSED = 8000, /* sixteenths; tables reach a little farther */
    LOOK_BITS = 9, /* leading bits of the state's low part that index the first look-up */
    SCALES = 44,
    TAILS = 4,
    FRACTIONS = 16,
    NEAR = 20,     /* the reference and the window */
    REACH_X = 3,   /* columns that a window reaches to each side */
    REACH_Y = 3,   /* rows that it reaches upwards */
    FARTHEST = 2,  /* samples that the network looks around in the reconstruction */
    MOST_AROUND = 512,
    MOST_WIDTH = 512, /* outputs of a layer */
    MOST_TRUNK = 16,
    MOST_STYLES = 8,
    MOST_COPIES = NEAR,
    NO_RECONSTRUCTION = -32768,
    TILE_OUTPUTS = 16, /* of a matrix unit's tile of weights */
    TILE_GROUPS = 16,
    TILE_BYTES = TILE_OUTPUTS * TILE_GROUPS * 4,
    TOGETHER = 512, /* samples in a list that is measured */
    RING = 16, /* steps that the wavefront keeps: it looks 8 back, and repeats samples up to 3 ahead */
};
enum { ENCODE = 0, DECODE = 1, MEASURE = 2 };

/* The window in the order of the specification (section 6.3), the reference before it. */
static const i8 NEAR_X[NEAR] = {-1, -2, -3, -3, -2, -1, 0, 1, -3, -2, -1, 0, 1, 2, 3, -2, -1, 0, 1, 2};
static const i8 NEAR_Y[NEAR] = {0, 0, 0, -1, -1, -1, -1, -1, -2, -2, -2, -2, -2, -2, -2, -3, -3, -3, -3, -3};

/* 32 widths of a scale's core in sixteenths of a sample value, by the scale's part of an octave (section 6.5), in 8
   bits each: 23, 19, 16, 13. */
#define WIDTH_FACTORS 0x0d101317u

#define DECISION (1u << 31) /* marks what is no symbol, but a decision under a probability of 1 in 2^-16 */

#include "_bank.h"
#include "_network.h"
#include "_plane.h"
#include "_tiles.h"

/* ---- the same code for every instruction set ---- */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define FOR_ISA(name) JOIN(name, ISA)

#define KERNEL_PLAIN 0
#define KERNEL_SSE2 1
#define KERNEL_AVX2 2
#define KERNEL_AVXVNNI 3
#define KERNEL_AVX512 4
#define KERNEL_AMX 5
#define KERNEL_NEON 6
#define KERNEL_NEON_DOT 7

#if defined(__clang__)
#define TARGET_(list) _Pragma(#list)
#define PUSH_TARGET(isa) TARGET_(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define POP_TARGET _Pragma("clang attribute pop")
#elif defined(__GNUC__)
#define TARGET_(list) _Pragma(#list)
#define PUSH_TARGET(isa) _Pragma("GCC push_options") TARGET_(GCC target(isa))
#define POP_TARGET _Pragma("GCC pop_options")
#endif

#define ISA plain
#define KERNEL KERNEL_PLAIN
#include "_walk.h"
#undef ISA
#undef KERNEL

#if defined(ON_X86) && defined(__SSE2__)
#define ISA sse2
#define KERNEL KERNEL_SSE2
#include "_walk.h"
#undef ISA
#undef KERNEL

PUSH_TARGET("avx2,bmi,bmi2,fma")
#define ISA avx2
#define KERNEL KERNEL_AVX2
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET

PUSH_TARGET("avx2,bmi,bmi2,fma,avxvnni")
#define ISA avxvnni
#define KERNEL KERNEL_AVXVNNI
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET

PUSH_TARGET("avx2,bmi,bmi2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")
#define ISA avx512
#define KERNEL KERNEL_AVX512
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET
#endif

#if defined(HAS_TILES)
PUSH_TARGET(TILE_TARGET)
#define ISA amx
#define KERNEL KERNEL_AMX
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET
#endif

#if defined(ON_ARM)
#define ISA neon
#define KERNEL KERNEL_NEON
#include "_walk.h"
#undef ISA
#undef KERNEL

PUSH_TARGET("arch=armv8.2-a+dotprod")
#define ISA neon_dot
#define KERNEL KERNEL_NEON_DOT
#include "_walk.h"
#undef ISA
#undef KERNEL
POP_TARGET
#endif

typedef struct {
    const char *name;
    int (*walk)(Walk *w);
    int (*measure)(Walk *w, const i32 *places, const u8 *styles, size_t n, u32 *out);
    int (*compare)(Walk *w, const u32 *lengths, const i32 *rectangles, size_t n, const i16 *inside, i64 *out);
} Isa;

static const Isa ISAS[] = {
#if defined(ON_ARM)
    {"neon_dot", walk_neon_dot, measure_neon_dot, compare_neon_dot},
    {"neon", walk_neon, measure_neon, compare_neon},
#endif
#if defined(HAS_TILES)
    {"amx", walk_amx, measure_amx, compare_amx},
#endif
#if defined(ON_X86) && defined(__SSE2__)
    {"avx512", walk_avx512, measure_avx512, compare_avx512},
    {"avxvnni", walk_avxvnni, measure_avxvnni, compare_avxvnni},
    {"avx2", walk_avx2, measure_avx2, compare_avx2},
    {"sse2", walk_sse2, measure_sse2, compare_sse2},
#endif
    {"plain", walk_plain, measure_plain, compare_plain},
};
enum { ISA_COUNT = sizeof ISAS / sizeof ISAS[0] };

static int supported(const char *name) {
#if defined(ON_X86) && defined(__SSE2__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
               __builtin_cpu_supports("fma");
    if (!strcmp(name, "avx2")) return avx2;
    if (!strcmp(name, "avxvnni")) {
        unsigned a, b, c, d;
        return avx2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
    }
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vnni");
    if (!strcmp(name, "avx512")) return avx512;
#if defined(HAS_TILES)
    if (!strcmp(name, "amx")) return avx512 && tiles_allowed();
#endif
#elif defined(ON_ARM)
    if (!strcmp(name, "neon_dot")) {
#if defined(__APPLE__)
        return 1;
#elif defined(__linux__)
        return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
#else
        return 0;
#endif
    }
#endif
    (void)name;
    return 1;
}

/* The name of instruction set `index`, the best first, or NULL behind the last; *usable: whether this processor
   has it, unless `usable` is NULL. */
EXPORT const char *said_isa(int index, int *usable) {
    if (index < 0 || index >= ISA_COUNT) return NULL;
    if (usable) *usable = supported(ISAS[index].name);
    return ISAS[index].name;
}

/* ---- what Python calls ---- */

static int usable_isa(int isa) { return isa >= 0 && isa < ISA_COUNT && supported(ISAS[isa].name); }

/* Walk or measure between these two. */
static void begin(int isa) {
#if defined(HAS_TILES)
    if (ISAS[isa].walk == walk_amx) open_tiles();
#endif
    (void)isa;
}

static void end(int isa) {
#if defined(HAS_TILES)
    if (ISAS[isa].walk == walk_amx) close_tiles();
#endif
    (void)isa;
}

/* The symbols of one plane in the order of decoding; out u32 [samples * (components + copies)], or
   [samples * (ANSWERS * components + copies)] where they are decided.  Near-lossless the samples become
   what the decoder will see. */
EXPORT int said_symbols(int isa, const Network *network, const Bank *bank, const Plane *p, u32 *out, size_t *count) {
    Walk w;
    if (!usable_isa(isa)) return BAD_ARGUMENT;
    int status = walk_open(&w, network, bank, p, ENCODE, whole_area(p));
    w.out = out;
    begin(isa);
    if (!status) status = ISAS[isa].walk(&w);
    end(isa);
    *count = w.count;
    walk_close(&w);
    return status;
}

/* Bits of the samples at places i32 [n] of one plane in 2^-16 bit, u32 [n], under the styles u8 [n], or the plane's
   own where that is NULL.  All samples where places is NULL.  Errors must be 0. */
EXPORT int said_measure(int isa, const Network *network, const Bank *bank, const Plane *p, const i32 *places,
                        const u8 *styles, size_t n, u32 *out) {
    Walk w;
    if (!usable_isa(isa) || !is_sound(p) || p->max_error) return BAD_ARGUMENT;
    if (!n) return DONE;
    Area area = whole_area(p);
    if (places && !area_of_places(p, places, n, &area)) return BAD_ARGUMENT;
    int status = walk_open(&w, network, bank, p, MEASURE, area);
    begin(isa);
    if (!status) status = ISAS[isa].measure(&w, places, styles, n, out);
    end(isa);
    walk_close(&w);
    return status;
}

/* How many bits more, in 2^-16 bit, all coded samples of a plane would take if its reconstruction were another in a
   rectangle, i64 [n].  lengths u32 [height][width]: their bits now.  rectangles i32 [n][4]: top, left, bottom,
   right.  inside: the other reconstruction, i16 [rows][columns][3] of each rectangle, one after another. */
EXPORT int said_compare(int isa, const Network *network, const Bank *bank, const Plane *p, const u32 *lengths,
                        const i32 *rectangles, size_t n, const i16 *inside, i64 *out) {
    Walk w;
    if (!usable_isa(isa) || !is_sound(p) || !p->reconstruction || p->max_error) return BAD_ARGUMENT;
    if (!n) return DONE;
    Area area;
    if (!area_of_rectangles(p, rectangles, n, &area)) return BAD_ARGUMENT;
    int status = walk_open(&w, network, bank, p, MEASURE, area);
    begin(isa);
    if (!status) status = ISAS[isa].compare(&w, lengths, rectangles, n, inside, out);
    end(isa);
    walk_close(&w);
    return status;
}

/* Fill in the coded samples of a plane from a stack of *count words.  What is left of it stays in words, and *count
   says how much; there must be room for two words more. */
EXPORT int said_decode(int isa, const Network *network, const Bank *bank, const Plane *p, u32 *words,
                       size_t *count) {
    Walk w;
    if (!usable_isa(isa)) return BAD_ARGUMENT;
    int status = walk_open(&w, network, bank, p, DECODE, whole_area(p));
    if (!status) {
        decoder_open(&w.decoder, words, *count);
        begin(isa);
        status = ISAS[isa].walk(&w);
        end(isa);
    }
    if (!status) *count = decoder_close(&w.decoder, words);
    walk_close(&w);
    return status;
}

/* Changes with every change of an exported function or structure; core.py refuses a library of another number. */
EXPORT int said_interface(void) { return 8; }

/* Extension modules have this function, and some linkers insist on it; nothing imports this library as a module. */
EXPORT void *PyInit__core(void) { return NULL; }
