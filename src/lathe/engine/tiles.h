// What Lathe's C++ for the matrix units of Intel's processors (AMX) shares. TILED is defined where there are such units.
//
// A product reads its right-hand matrix by pairs of rows: the numbers of rows 2i and 2i + 1 side by side.

#pragma once

#include "numbers.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)

#define TILED

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using Index = std::int64_t;

// The unit is set up for tiles of 64 bytes a row, and let go of. What belongs to the upper rows of a left-hand matrix (its tile 4, the
// sums 0 and 1) has so many rows, what belongs to the lower (5, 2 and 3) so many or none; right-hand tiles, 6 and 7, have 16.
struct Tiles {
    explicit Tiles(Index upper = 16, Index lower = 16) {
        struct alignas(64) { std::uint8_t palette = 1, start = 0, none[14] = {}; std::uint16_t bytes[16] = {}; std::uint8_t rows[16] = {}; } all;
        const Index rows[] = {upper, upper, lower, lower, upper, lower, 16, 16};
        for (int tile = 0; tile < 8; ++tile) all.bytes[tile] = rows[tile] ? 64 : 0, all.rows[tile] = std::uint8_t(rows[tile]);
        _tile_loadconfig(&all);
    }
    ~Tiles() { _tile_release(); }
};

}  // namespace

// Whether this process may use the units: it has to ask once.
extern "C" void permitted(std::int64_t* yes) { *yes = syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18 /* tile data */) == 0; }

#else

extern "C" void permitted(std::int64_t* yes) { *yes = 0; }

#endif
