/* AMX, the matrix unit of some x86 processors: tiles of 16 rows of 64 bytes.  Linux lends it to a process that asks.
   From then on the process has larger signal frames: sigaltstack() refuses stacks below about 12 KB.  Forked
   processes inherit that, and it cannot be given back.  So nobody asks who does not want to use it. */

#if defined(__x86_64__) && defined(__linux__) && \
    (defined(__clang__) ? __clang_major__ >= 12 : defined(__GNUC__) && __GNUC__ >= 11)
#define HAS_TILES 1
#define TILE_TARGET "avx2,bmi,bmi2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8"

#include <sys/syscall.h>
#include <unistd.h>

enum { REQUEST_STATE = 0x1023, TILE_STATE = 18 }; /* ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA of the kernel */

/* Whether the processor has tiles of bytes, and the system lets this process use them.  Asked once: CPUID is slow in
   virtual machines. */
static int tiles_allowed(void) {
    static int known; /* 0 before it is known, then 1 or 2 */
    int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (!answer) {
        unsigned a, b, c, d;
        int there = __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 1) && (d >> 25 & 1);
        answer = there && !syscall(SYS_arch_prctl, REQUEST_STATE, TILE_STATE) ? 2 : 1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer == 2;
}

typedef struct {
    u8 palette, start_row, reserved[14];
    u16 columns[16]; /* bytes of a row */
    u8 rows[16];
} TileShapes;

/* Eight tiles of the full size.  In memory: some compilers do not see that the instruction reads all of it. */
static const TileShapes SHAPES = {
    .palette = 1, .columns = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

/* Let this thread use tiles, until they are closed. */
static __attribute__((target("amx-tile"))) void open_tiles(void) { _tile_loadconfig(&SHAPES); }

static __attribute__((target("amx-tile"))) void close_tiles(void) { _tile_release(); }
#endif
