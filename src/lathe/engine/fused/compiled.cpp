// The element-wise parts of the fused step, each in one pass over memory. What they compute stands in `elementwise.py`; `eager.py`
// does the same with torch's operations, and tests hold the two against each other.
//
// Compiled once for each format of narrow numbers, which NUMBER names.
// Work is shared by rows, heads or blocks among OpenMP's threads, which are torch's, and no sum goes over two of them: the
// result is the same for any number of threads.
//
// Names as in `stack.py`: n rows of d numbers; a row begins `stride` numbers after the one before.

#include <vector>

#include "../numbers.h"

namespace {

// Rows of attention are short, and a call of memcpy for each would take longer than the copying.
inline void copy(T* to, const T* from, std::int64_t d) {
    const std::int64_t line = 64 / sizeof(T);
    for (; d >= line; d -= line, to += line, from += line) std::memcpy(to, from, 64);
    for (; d > 0; --d) *to++ = *from++;
}

// A row holds `heads` of `width` numbers, pairs (real, imaginary) side by side; `turns` holds a head's worth of pairs for each row.
template <class From>
void turned(std::int64_t n, std::int64_t heads, std::int64_t width, const From* from, std::int64_t stride, const float* turns,
            float scale, std::int64_t back, T* to, std::int64_t to_stride) {
    const float sign = back ? -scale : scale;
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        const float* t = turns + i * width;
        for (std::int64_t h = 0; h < heads; ++h) {
            const From* x = from + i * stride + h * width;
            T* y = to + i * to_stride + h * width;
#pragma omp simd
            for (std::int64_t j = 0; j < width; j += 2) {
                float re = wide(x[j]), im = wide(x[j + 1]), c = t[j] * scale, s = t[j + 1] * sign;
                y[j] = narrow<T>(re * c - im * s);
                y[j + 1] = narrow<T>(re * s + im * c);
            }
        }
    }
}

}  // namespace

extern "C" {

void normalise(std::int64_t n, std::int64_t d, const float* hidden, float epsilon, T* normed, float* inverse) {
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        const float* x = hidden + i * d;
        double squares = 0;
#pragma omp simd reduction(+ : squares)
        for (std::int64_t j = 0; j < d; ++j) squares += double(x[j]) * x[j];
        const float r = inverse[i] = float(1 / std::sqrt(squares / double(d) + epsilon));
        T* y = normed + i * d;
#pragma omp simd
        for (std::int64_t j = 0; j < d; ++j) y[j] = narrow<T>(x[j] * r);
    }
}

void add_normalise_backward(std::int64_t n, std::int64_t d, float* into, const T* grad, std::int64_t stride, const T* normed,
                            const float* inverse) {
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        const T *dn = grad + i * stride, *x = normed + i * d;
        float along = 0;
#pragma omp simd reduction(+ : along)
        for (std::int64_t j = 0; j < d; ++j) along += wide(dn[j]) * wide(x[j]);
        float r = inverse[i], mean = along / float(d);
        float* y = into + i * d;
#pragma omp simd
        for (std::int64_t j = 0; j < d; ++j) y[j] += r * (wide(dn[j]) - wide(x[j]) * mean);
    }
}

void add(std::int64_t n, std::int64_t d, float* into, const T* change, std::int64_t stride) {
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        const T* x = change + i * stride;
        float* y = into + i * d;
#pragma omp simd
        for (std::int64_t j = 0; j < d; ++j) y[j] += wide(x[j]);
    }
}

void turn(std::int64_t n, std::int64_t heads, std::int64_t width, const T* from, std::int64_t stride, const float* turns, float scale,
          std::int64_t back, T* to, std::int64_t to_stride) {
    turned(n, heads, width, from, stride, turns, scale, back, to, to_stride);
}

void turn_wide(std::int64_t n, std::int64_t heads, std::int64_t width, const float* from, std::int64_t stride, const float* turns,
               float scale, std::int64_t back, T* to, std::int64_t to_stride) {
    turned(n, heads, width, from, stride, turns, scale, back, to, to_stride);
}

void gated(std::int64_t n, std::int64_t f, const T* gate_up, std::int64_t stride, T* product) {
    gated_rows(n, f, gate_up, stride, product);
}

void gated_backward(std::int64_t n, std::int64_t f, const T* grad, std::int64_t grad_stride, const T* gate_up,
                    std::int64_t stride, T* to) {
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        const T *dh = grad + i * grad_stride, *gate = gate_up + i * stride, *up = gate + f;
        T *dg = to + i * 2 * f, *du = dg + f;
#pragma omp simd
        for (std::int64_t j = 0; j < f; ++j) {
            float g = wide(gate[j]), open = sigmoid(g), d = wide(dh[j]);
            dg[j] = narrow<T>(d * wide(up[j]) * open * (1.0f + g * (1.0f - open)));
            du[j] = narrow<T>(d * g * open);
        }
    }
}

// Rows at some places, brought together by blocks and heads: to[block][head][place][d]. Those behind the real ones of a block
// repeat its last, or are zero.
void gather(std::int64_t blocks, std::int64_t heads, std::int64_t places_of_one, std::int64_t d, const T* rows,
            std::int64_t stride, const std::int64_t* places, const std::int64_t* real, T* to) {
#pragma omp parallel for collapse(2)
    for (std::int64_t b = 0; b < blocks; ++b)
        for (std::int64_t h = 0; h < heads; ++h)
            for (std::int64_t q = 0; q < places_of_one; ++q) {
                T* y = to + ((b * heads + h) * places_of_one + q) * d;
                if (real && q >= real[b])
                    std::memset(y, 0, d * sizeof(T));
                else
                    copy(y, rows + places[b * places_of_one + q] * stride + h * d, d);
            }
}

// The way back: from[block][head][place][d] to rows of heads x d numbers, the real ones of each block.
void put(std::int64_t blocks, std::int64_t heads, std::int64_t places_of_one, std::int64_t d, const T* from,
         const std::int64_t* places, const std::int64_t* real, T* rows) {
#pragma omp parallel for collapse(2)
    for (std::int64_t b = 0; b < blocks; ++b)
        for (std::int64_t h = 0; h < heads; ++h)
            for (std::int64_t q = 0; q < real[b]; ++q)
                copy(rows + (places[b * places_of_one + q] * heads + h) * d, from + ((b * heads + h) * places_of_one + q) * d, d);
}

// Adds from[2][block][head][key][d] to into[token][2][head][d].
void add_keyed(std::int64_t blocks, std::int64_t heads, std::int64_t keys, std::int64_t d, const T* from,
               const std::int64_t* places, float* into) {
#pragma omp parallel for collapse(2)
    for (std::int64_t two = 0; two < 2; ++two)
        for (std::int64_t h = 0; h < heads; ++h)
            for (std::int64_t b = 0; b < blocks; ++b)
                for (std::int64_t c = 0; c < keys; ++c) {
                    const T* x = from + (((two * blocks + b) * heads + h) * keys + c) * d;
                    float* y = into + ((places[b * keys + c] * 2 + two) * heads + h) * d;
#pragma omp simd
                    for (std::int64_t j = 0; j < d; ++j) y[j] += wide(x[j]);
                }
}

// In place. scores[block][head][query][group][key]; seen[block][query]: how many of the keys a query sees.
void softmax(std::int64_t blocks, std::int64_t heads, std::int64_t queries, std::int64_t groups, std::int64_t keys,
             const std::int64_t* seen, T* scores) {
    const std::int64_t rows_of_one = heads * queries * groups;
#pragma omp parallel
    {
        std::vector<float> powers(keys);
        float* e = powers.data();
#pragma omp for
        for (std::int64_t i = 0; i < blocks * rows_of_one; ++i) {
            T* x = scores + i * keys;
            const std::int64_t count = seen[i / rows_of_one * queries + i / groups % queries];
            float most = -INFINITY, sum = 0;
#pragma omp simd reduction(max : most)
            for (std::int64_t j = 0; j < count; ++j) most = wide(x[j]) > most ? wide(x[j]) : most;
#pragma omp simd reduction(+ : sum)
            for (std::int64_t j = 0; j < count; ++j) sum += e[j] = exponential(wide(x[j]) - most);
            const float share = 1.0f / sum;
#pragma omp simd
            for (std::int64_t j = 0; j < count; ++j) x[j] = narrow<T>(e[j] * share);
            std::memset(x + count, 0, (keys - count) * sizeof(T));
        }
    }
}

// In place: the gradient of the weights becomes that of the scores.
void softmax_backward(std::int64_t n, std::int64_t keys, T* grad, const T* weights) {
#pragma omp parallel for
    for (std::int64_t i = 0; i < n; ++i) {
        T* dp = grad + i * keys;
        const T* p = weights + i * keys;
        float along = 0;
#pragma omp simd reduction(+ : along)
        for (std::int64_t j = 0; j < keys; ++j) along += wide(dp[j]) * wide(p[j]);
#pragma omp simd
        for (std::int64_t j = 0; j < keys; ++j) dp[j] = narrow<T>(wide(p[j]) * (wide(dp[j]) - along));
    }
}

// In place: logits become softmax(logits) - onehot(target).
void residual(std::int64_t n, std::int64_t words, T* logits, const std::int64_t* targets, float* losses) {
#pragma omp parallel
    {
        std::vector<float> powers(words);
        float* e = powers.data();
#pragma omp for
        for (std::int64_t i = 0; i < n; ++i) {
            T* z = logits + i * words;
            float most = -INFINITY, sum = 0;
#pragma omp simd reduction(max : most)
            for (std::int64_t j = 0; j < words; ++j) most = wide(z[j]) > most ? wide(z[j]) : most;
#pragma omp simd reduction(+ : sum)
            for (std::int64_t j = 0; j < words; ++j) sum += e[j] = exponential(wide(z[j]) - most);
            losses[i] = std::log(sum) + most - wide(z[targets[i]]);
            const float share = 1.0f / sum;
            e[targets[i]] -= sum;
#pragma omp simd
            for (std::int64_t j = 0; j < words; ++j) z[j] = narrow<T>(e[j] * share);
        }
    }
}

}  // extern "C"
