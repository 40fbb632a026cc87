// What lies between the decoder's products, each in one pass over memory. What the functions compute stands in `parts.py`; `eager.py`
// does the same with torch's operations, and tests hold the two against each other.
//
// Compiled once for each format of narrow numbers, which NUMBER names. Work is shared by rows or by heads of answers among OpenMP's
// threads, which are torch's, and no sum goes over two of them: the result is the same for any number of threads.
//
// Names: n rows; a row begins `stride` numbers after the one before. Heads of `width` numbers; the cache holds, of one layer, values as
// [slot][key head][place][width], and keys as [slot][key head][place / GROUP][width][place % GROUP].

#include <algorithm>
#include <vector>

#include "../numbers.h"

namespace {

const std::int64_t TOGETHER = 4;  // queries that share a reading of keys and values: their sums fit the registers
const std::int64_t GROUP = 32;    // as in `cache.py`

inline std::int64_t filled_up(std::int64_t places) { return (places + GROUP - 1) / GROUP * GROUP; }

// Asks for numbers that are needed soon: left to itself the processor asks too late while it multiplies.
inline void fetch(const T* at, std::int64_t numbers) {
    for (std::int64_t j = 0; j < numbers; j += 64 / sizeof(T)) __builtin_prefetch(at + j);
}

// Of COUNT queries of one head, the k-th of which sees seen[k] keys, the first ones. next: what is read after their values. scratch:
// room for COUNT x (seen of the last, filled up, + width). WIDTH: of a head where it is known beforehand, or 0.
template <std::int64_t WIDTH, std::int64_t COUNT>
void attended(std::int64_t any_width, const T* const* queries, const std::int64_t* seen, const T* keys, const T* values, const T* next,
              float scale, float* scratch, T* const* to) {
    const std::int64_t width = WIDTH ? WIDTH : any_width, all = seen[COUNT - 1], room = filled_up(all);
    float *scaled = scratch, *powers = scratch + COUNT * width;
    for (std::int64_t k = 0; k < COUNT; ++k)
        for (std::int64_t j = 0; j < width; ++j) scaled[j * COUNT + k] = wide(queries[k][j]) * scale;
    for (std::int64_t c = 0; c < all; c += GROUP) {
        const T *group = keys + c * width, *later = c + GROUP < all ? group + width * GROUP : values;
        float along[COUNT][GROUP];
        std::memset(along, 0, sizeof along);
        for (std::int64_t j = 0; j < width; ++j) {
            fetch(later + j * GROUP, GROUP);
            for (std::int64_t k = 0; k < COUNT; ++k) {
                const float q = scaled[j * COUNT + k];
#pragma omp simd
                for (std::int64_t l = 0; l < GROUP; ++l) along[k][l] += q * wide(group[j * GROUP + l]);
            }
        }
        for (std::int64_t k = 0; k < COUNT; ++k) std::memcpy(powers + k * room + c, along[k], sizeof along[k]);
    }
    float share[COUNT];
    for (std::int64_t k = 0; k < COUNT; ++k) {
        float* p = powers + k * room;
        float most = -INFINITY, sum = 0;
#pragma omp simd reduction(max : most)
        for (std::int64_t c = 0; c < seen[k]; ++c) most = p[c] > most ? p[c] : most;
#pragma omp simd reduction(+ : sum)
        for (std::int64_t c = 0; c < seen[k]; ++c) sum += p[c] = exponential(p[c] - most);
        share[k] = 1.0f / sum;
        std::fill(p + seen[k], p + all, 0.0f);
    }
    if constexpr (WIDTH != 0) {
        float sums[COUNT][WIDTH];
        std::memset(sums, 0, sizeof sums);
        for (std::int64_t c = 0; c < all; ++c) {
            fetch(c + GROUP < all ? values + (c + GROUP) * WIDTH : next + c % GROUP * WIDTH, WIDTH);
            for (std::int64_t k = 0; k < COUNT; ++k) {
                const float p = powers[k * room + c];
#pragma omp simd
                for (std::int64_t j = 0; j < WIDTH; ++j) sums[k][j] += p * wide(values[c * WIDTH + j]);
            }
        }
        for (std::int64_t k = 0; k < COUNT; ++k)
            for (std::int64_t j = 0; j < WIDTH; ++j) to[k][j] = narrow<T>(sums[k][j] * share[k]);
    } else {
        for (std::int64_t k = 0; k < COUNT; ++k)
            for (std::int64_t j = 0; j < width; ++j) {
                float sum = 0;
                for (std::int64_t c = 0; c < seen[k]; ++c) sum += powers[k * room + c] * wide(values[c * width + j]);
                to[k][j] = narrow<T>(sum * share[k]);
            }
    }
}

// `attended` by how many queries there are, less one.
template <std::int64_t WIDTH>
constexpr decltype(&attended<0, 1>) OF_COUNT[TOGETHER] = {attended<WIDTH, 1>, attended<WIDTH, 2>, attended<WIDTH, 3>, attended<WIDTH, 4>};

}  // namespace

extern "C" {

void normalise(std::int64_t n, std::int64_t d, const T* hidden, const T* gain, float epsilon, T* normed) {
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        const T* x = hidden + i * d;
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (std::int64_t j = 0; j < d; ++j) squares += wide(x[j]) * wide(x[j]);
        const float r = 1.0f / std::sqrt(squares / float(d) + epsilon);
        T* y = normed + i * d;
#pragma omp simd
        for (std::int64_t j = 0; j < d; ++j) y[j] = narrow<T>(wide(x[j]) * r * wide(gain[j]));
    }
}

void gated(std::int64_t n, std::int64_t f, const T* gate_up, std::int64_t stride, T* product) {
    gated_rows(n, f, gate_up, stride, product);
}

// In place, and keys and values on to the cache. joined[row]: `heads` of queries, then as many of keys as of values.
void turn(std::int64_t n, std::int64_t heads, std::int64_t key_heads, std::int64_t width, std::int64_t groups, std::int64_t capacity,
          T* joined, std::int64_t stride, const T* cos, const T* sin, const std::int64_t* slots, const std::int64_t* places, T* keys,
          T* values) {
    const std::int64_t half = width / 2;
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        T* x = joined + i * stride;
        const T *c = cos + places[i] * width, *s = sin + places[i] * width;
        for (std::int64_t h = 0; h < heads + key_heads; ++h, x += width) {
#pragma omp simd
            for (std::int64_t j = 0; j < half; ++j) {
                const float a = wide(x[j]), b = wide(x[j + half]);
                x[j] = narrow<T>(a * wide(c[j]) + b * wide(s[j]));
                x[j + half] = narrow<T>(b * wide(c[j + half]) + a * wide(s[j + half]));
            }
        }
        for (std::int64_t h = 0; h < key_heads; ++h, x += width) {
            const std::int64_t head = slots[i] * key_heads + h, place = places[i];
            T* key = keys + (head * groups + place / GROUP) * width * GROUP + place % GROUP;
            for (std::int64_t j = 0; j < width; ++j) key[j * GROUP] = (x - key_heads * width)[j];
            std::copy_n(x, width, values + (head * capacity + place) * width);
        }
    }
}

// Of the rows of each answer, starts[s] to starts[s + 1], the first sees the keys before it and its own, each next one more.
void attend(std::int64_t answers, std::int64_t key_heads, std::int64_t together, std::int64_t width, std::int64_t groups,
            std::int64_t capacity, const T* joined, std::int64_t stride, const std::int64_t* starts, const std::int64_t* places,
            const T* keys, const T* values, float scale, T* to) {
#pragma omp parallel
    {
        std::vector<float> scratch(TOGETHER * (groups * GROUP + width));
        const T* queries[TOGETHER];
        T* results[TOGETHER];
        std::int64_t seen[TOGETHER];
#pragma omp for collapse(2)
        for (std::int64_t s = 0; s < answers; ++s)
            for (std::int64_t h = 0; h < key_heads; ++h) {
                const std::int64_t at = s * key_heads + h, last = starts[s + 1] * together;
                const T *k = keys + at * groups * GROUP * width, *v = values + at * capacity * width;
                const T* next_head = at + 1 < answers * key_heads ? k + groups * GROUP * width : k;
                for (std::int64_t q = starts[s] * together; q < last; q += TOGETHER) {
                    const std::int64_t count = std::min(TOGETHER, last - q);
                    for (std::int64_t one = 0; one < count; ++one) {
                        const std::int64_t row = (q + one) / together, head = h * together + (q + one) % together;
                        queries[one] = joined + row * stride + head * width;
                        results[one] = to + (row * key_heads * together + head) * width;
                        seen[one] = places[row] + 1;
                    }
                    const auto* fit = width == 64 ? OF_COUNT<64> : width == 128 ? OF_COUNT<128> : OF_COUNT<0>;
                    fit[count - 1](width, queries, seen, k, v, q + TOGETHER < last ? k : next_head, scale, scratch.data(), results);
                }
            }
    }
}

}  // extern "C"
