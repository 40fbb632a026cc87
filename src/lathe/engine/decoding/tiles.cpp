// Products of few rows with a large matrix in bf16 with the matrix units of Intel's processors (AMX). The matrix is read once, from
// memory, and that is the time it takes: `tiles.py` says how it lies.

#include <algorithm>

#include "../tiles.h"

extern "C" {

#ifdef TILED

// y = x w + bias of 1 to 32 rows of x, which lie `apart`; bias may be null. Outputs and inputs are multiples of 32. The sums of an
// output are one thread's: the result is the same for any number of threads.
void multiply(Index rows, Index outputs, Index inputs, const bf16* x, Index apart, const bf16* laid, const bf16* bias, bf16* y) {
    const Index AHEAD = 4096;  // numbers that are asked for before their turn: left to itself the processor reads a twentieth slower
    const Index upper = std::min<Index>(rows, 16), lower = rows - upper, in_x = apart * 2;
#pragma omp parallel
    {
        const Tiles tiles(upper, lower);
        alignas(64) float sums[32][32];
#pragma omp for schedule(static)
        for (Index n = 0; n < outputs; n += 32) {
            const bf16* right = laid + n * inputs;
            _tile_zero(0); _tile_zero(1);
            if (lower) { _tile_zero(2); _tile_zero(3); }
            for (Index k = 0; k < inputs; k += 32, right += 32 * 32) {
                for (Index j = 0; j < 32 * 32; j += 32) __builtin_prefetch(right + AHEAD + j);
                _tile_loadd(6, right, 128); _tile_loadd(4, x + k, in_x); _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(7, right + 32, 128); _tile_dpbf16ps(1, 4, 7);
                if (lower) { _tile_loadd(5, x + 16 * apart + k, in_x); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7); }
            }
            _tile_stored(0, sums[0], 128); _tile_stored(1, sums[0] + 16, 128);
            if (lower) { _tile_stored(2, sums[16], 128); _tile_stored(3, sums[16] + 16, 128); }
            for (Index i = 0; i < rows; ++i)
                for (Index j = 0; j < 32; ++j) y[i * outputs + n + j] = narrow<bf16>(sums[i][j] + (bias ? wide(bias[n + j]) : 0.0f));
        }
    }
}

#else

void multiply() {}

#endif

}  // extern "C"
