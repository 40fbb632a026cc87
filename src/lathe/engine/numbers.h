// What Lathe's C++ shares: numbers, float or bf16, the upper half of a float, all arithmetic in float; and the gate of the MLP.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

struct bf16 { std::uint16_t bits; };

inline float wide(float x) { return x; }
inline float wide(bf16 x) {
    std::uint32_t bits = std::uint32_t(x.bits) << 16;
    float y;
    std::memcpy(&y, &bits, 4);
    return y;
}

template <class T> inline T narrow(float x);
template <> inline float narrow<float>(float x) { return x; }
template <> inline bf16 narrow<bf16>(float x) {  // to the nearest, ties to even; a NaN stays one
    std::uint32_t bits;
    std::memcpy(&bits, &x, 4);
    std::uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return {std::uint16_t((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded)};
}

// e^x within 1e-7 of it: 2^k e^r with |r| <= ln(2) / 2, and e^r by its series. A NaN stays one; below -87 it is 0, above 88 infinite:
// any other limit would be multiplied, in lanes that do not need it, into numbers so small that Intel's processors take a hundred
// cycles for each.
inline float exponential(float x) {
    const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number, which the lowest bits then hold
    const float shifted = x * 1.44269504f + magic, k = shifted - magic;
    float r = (x - k * 0.693359375f) + k * 2.12194440e-4f;  // ln(2) in two parts, of which the first times k is exact
    float y = 1.98412698e-4f;
    for (float next : {1.38888889e-3f, 8.33333333e-3f, 4.16666667e-2f, 1.66666667e-1f, 0.5f, 1.0f, 1.0f}) y = y * r + next;
    std::uint32_t bits;
    std::memcpy(&bits, &shifted, 4);
    bits = (bits + 127) << 23;
    float power;
    std::memcpy(&power, &bits, 4);
    return x < -87.0f ? 0.0f : x > 88.0f ? INFINITY : y * power;
}

using T = NUMBER;  // the narrow ones of this library

inline float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

// SwiGLU of n rows, f of gate and f of up side by side, a row `stride` numbers after the one before.
inline void gated_rows(std::int64_t n, std::int64_t f, const T* gate_up, std::int64_t stride, T* product) {
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        const T *gate = gate_up + i * stride, *up = gate + f;
        T* y = product + i * f;
#pragma omp simd
        for (std::int64_t j = 0; j < f; ++j) y[j] = narrow<T>(wide(gate[j]) * sigmoid(wide(gate[j])) * wide(up[j]));
    }
}

}  // namespace
