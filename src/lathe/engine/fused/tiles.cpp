// Attention of a pack in bf16 with the matrix units of Intel's processors (AMX), with its backward pass: what `attention.py` does by
// batches of products, a stretch of queries of one head at a time, so that scores never leave the processor's cache. `tiles.py` says
// what the arguments are.
//
// A product reads its right-hand matrix by pairs of rows. So keys and values are laid out once for a segment, and scores are rounded
// into the layout in which the next product reads them. Scores, their softmax and their gradient are float; what goes into a product
// is bf16.
//
// Each segment and key head is one thread's, and gradients of keys are added in the order of the segments: the result is the same
// for any number of threads.

#include <algorithm>
#include <vector>

#include "../tiles.h"

#ifdef TILED

namespace {

using Pair = std::uint32_t;  // two bf16, of the even row in the lower half

const Index QUERIES = 64;  // of a stretch: as many as pay for laying out what reads them
const Index KEYS = 128;    // of a stretch on the way back: what is formed of them stays in the nearest caches

inline Index up(Index x) { return (x + 31) / 32 * 32; }
inline Index apart(Index columns) { return columns + 16; }  // rows that are a power of two apart share few places of a cache

// c[m][n] = or += a[m][k] b[k][n]; m, n and k are multiples of 32; b[k / 2][n] in pairs.
void product(Index m, Index n, Index k, const bf16* a, Index a_apart, const Pair* b, Index b_apart, float* c, Index c_apart, bool more) {
    const Index in_a = a_apart * 2, in_b = b_apart * 4, in_c = c_apart * 4;
    for (Index j = 0; j < n; j += 32)
        for (Index i = 0; i < m; i += 32) {
            float *upper = c + i * c_apart + j, *lower = upper + 16 * c_apart;
            if (more) {
                _tile_loadd(0, upper, in_c); _tile_loadd(1, upper + 16, in_c);
                _tile_loadd(2, lower, in_c); _tile_loadd(3, lower + 16, in_c);
            } else {
                _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
            }
            for (Index l = 0; l < k; l += 32) {
                const bf16* left = a + i * a_apart + l;
                const Pair* right = b + l / 2 * b_apart + j;
                _tile_loadd(4, left, in_a); _tile_loadd(5, left + 16 * a_apart, in_a);
                _tile_loadd(6, right, in_b); _tile_loadd(7, right + 16, in_b);
                _tile_dpbf16ps(0, 4, 6); _tile_dpbf16ps(1, 4, 7); _tile_dpbf16ps(2, 5, 6); _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, upper, in_c); _tile_stored(1, upper + 16, in_c);
            _tile_stored(2, lower, in_c); _tile_stored(3, lower + 16, in_c);
        }
}

// The segments of a pack: rows firsts[s] to ends[s] attend; row i sees seen[i] keys, the first ones of those at the positions
// ranges[x] to ranges[x + 1] for x from starts[s] to starts[s + 1] in steps of 2.
struct Segments {
    const Index *firsts, *ends, *starts, *ranges, *seen;

    std::vector<Index> keys(Index s) const {
        std::vector<Index> found;
        const Index count = ends[s] > firsts[s] ? seen[ends[s] - 1] : 0;
        for (Index x = starts[s]; x < starts[s + 1]; x += 2)
            for (Index place = ranges[x]; place < ranges[x + 1] && Index(found.size()) < count; ++place) found.push_back(place);
        return found;
    }
};

// Matrices of a segment's keys or values, whose rows lie `stride` apart: turned over, columns of width / 2 pairs, and by pairs of rows.
struct Laid {
    Index columns;  // of the turned one, apart
    std::vector<Pair> turned, paired;

    Laid(const std::vector<Index>& places, const bf16* rows, Index stride, Index width, bool by_pairs, bool turn)
        : columns(apart(up(places.size()))) {
        const Index count = places.size();
        if (turn) {
            turned.assign(width / 2 * columns, 0);
            for (Index c = 0; c < count; ++c)
                for (Index w = 0; w < width / 2; ++w)
                    std::memcpy(&turned[w * columns + c], rows + places[c] * stride + 2 * w, 4);
        }
        if (by_pairs) {
            paired.assign(up(count) / 2 * width, 0);
            for (Index c = 0; c < count; ++c) {
                const bf16* row = rows + places[c] * stride;
                Pair* to = paired.data() + c / 2 * width;
                const int half = c % 2 * 16;
                for (Index w = 0; w < width; ++w) to[w] |= Pair(row[w].bits) << half;
            }
        }
    }
};

// Rows of queries, or of gradients, of one head: as they are, and turned over.
struct Stretch {
    std::vector<bf16> rows, turned;

    explicit Stretch(Index width) : rows(QUERIES * width), turned(width * QUERIES) {}

    void read(const bf16* from, Index stride, Index count, Index width, bool turn) {
        std::fill(rows.begin(), rows.end(), bf16{0});
        for (Index i = 0; i < count; ++i) std::memcpy(&rows[i * width], from + i * stride, width * 2);
        if (turn)
            for (Index w = 0; w < width; ++w)
                for (Index i = 0; i < QUERIES; ++i) turned[w * QUERIES + i] = rows[i * width + w];
    }
};

using Sixteen = __m512;

inline __mmask16 first(Index count) { return count >= 16 ? 0xffff : count <= 0 ? 0 : (1u << count) - 1; }

// e^x within 1e-7 of it, and e^-87 below that: a NaN stays one, and no number is so small that it takes the processor a hundred cycles.
inline Sixteen exponentials(Sixteen x) {
    x = _mm512_max_ps(_mm512_set1_ps(-87.0f), x);
    const Sixteen k = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
    Sixteen r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0.693359375f), x);  // ln(2) in two parts, of which the first times k is exact
    r = _mm512_fmadd_ps(k, _mm512_set1_ps(2.12194440e-4f), r);
    Sixteen y = _mm512_set1_ps(1.38888889e-3f);
    for (float next : {8.33333333e-3f, 4.16666667e-2f, 1.66666667e-1f, 0.5f, 1.0f, 1.0f}) y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(next));
    return _mm512_scalef_ps(y, k);
}

inline Sixteen widened(const bf16* x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)x)), 16));
}
inline __m256i rounded(Sixteen x) { return (__m256i)_mm512_cvtneps_pbh(x); }
inline __m512i paired(__m256i even, __m256i odd) {
    return _mm512_or_si512(_mm512_cvtepu16_epi32(even), _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16));
}

// x[0:count] -> e^(x - the largest), bf16, zeros up to `all`; the sum, and the largest.
void powers(const float* x, Index count, Index all, bf16* to, float& sum, float& largest) {
    Sixteen most = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
    for (Index c = 0; c < count; c += 16) most = _mm512_mask_max_ps(most, first(count - c), most, _mm512_loadu_ps(x + c));
    largest = _mm512_reduce_max_ps(most);
    most = _mm512_set1_ps(largest);
    for (Index c = 0; c < all; c += 16) {
        const Sixteen e = _mm512_maskz_mov_ps(first(count - c), exponentials(_mm512_sub_ps(_mm512_loadu_ps(x + c), most)));
        total = _mm512_add_ps(total, e);
        _mm256_storeu_si256((__m256i*)(to + c), rounded(e));
    }
    sum = _mm512_reduce_add_ps(total);
}

// The sum of x y, width numbers each.
inline float dot(const bf16* x, const bf16* y, Index width) {
    Sixteen sum = _mm512_setzero_ps();
    for (Index w = 0; w < width; w += 16)
        sum = _mm512_fmadd_ps(widened(x + w), widened(y + w), sum);
    return _mm512_reduce_add_ps(sum);
}

// A row of a stretch: scores and gradients of their shares, of which it sees the first `sees`; the logarithm of its sum, and its P dP.
struct Row { const float *scores, *grads; Index sees; float logsum, along; };

// P = e^(S - logsum) and dS = P (dP - along) of two rows, zeros up to `all`: dS by rows, both by pairs.
void score_gradients(Index all, const Row rows[2], bf16* const to[2], Pair* weights, Pair* scores) {
    for (Index c = 0; c < all; c += 16) {
        __m256i weight[2], score[2];
        for (int i = 0; i < 2; ++i) {
            const Row& row = rows[i];
            const Sixteen below = _mm512_sub_ps(_mm512_loadu_ps(row.scores + c), _mm512_set1_ps(row.logsum));
            const Sixteen share = _mm512_maskz_mov_ps(first(row.sees - c), exponentials(below));
            weight[i] = rounded(share);
            score[i] = rounded(_mm512_mul_ps(share, _mm512_sub_ps(_mm512_loadu_ps(row.grads + c), _mm512_set1_ps(row.along))));
            _mm256_storeu_si256((__m256i*)(to[i] + c), score[i]);
        }
        _mm512_storeu_si512(weights + c, paired(weight[0], weight[1]));
        _mm512_storeu_si512(scores + c, paired(score[0], score[1]));
    }
}

}  // namespace

extern "C" {

void attend(Index segments, const Index* firsts, const Index* ends, const Index* starts, const Index* ranges, const Index* seen,
            Index key_heads, Index groups, Index width, const bf16* query, Index query_apart, const bf16* key, Index key_apart,
            const bf16* value, Index value_apart, bf16* to, float* logsums) {
    const Segments all{firsts, ends, starts, ranges, seen};
    const Index heads = key_heads * groups;
#pragma omp parallel
    {
        const Tiles tiles;
        Stretch queries(width);
        std::vector<float> scores, found(QUERIES * width), shares(QUERIES);
        std::vector<bf16> narrowed;
#pragma omp for collapse(2) schedule(dynamic)
        for (Index s = 0; s < segments; ++s)
            for (Index h = 0; h < key_heads; ++h) {
                const std::vector<Index> places = all.keys(s);
                const Laid keys(places, key + h * width, key_apart, width, false, true);
                const Laid values(places, value + h * width, value_apart, width, true, false);
                const Index columns = keys.columns;
                scores.resize(QUERIES * columns), narrowed.resize(QUERIES * columns);
                for (Index first = firsts[s]; first < ends[s]; first += QUERIES)
                    for (Index g = 0; g < groups; ++g) {
                        const Index count = std::min(QUERIES, ends[s] - first), head = h * groups + g;
                        const Index rows = up(count), most = up(seen[first + count - 1]);
                        queries.read(query + first * query_apart + head * width, query_apart, count, width, false);
                        product(rows, most, width, queries.rows.data(), width, keys.turned.data(), columns, scores.data(), columns, false);
                        for (Index i = 0; i < count; ++i) {
                            float sum, largest;
                            powers(&scores[i * columns], seen[first + i], most, &narrowed[i * columns], sum, largest);
                            shares[i] = 1.0f / sum;
                            logsums[(first + i) * heads + head] = largest + std::log(sum);
                        }
                        std::fill(narrowed.begin() + count * columns, narrowed.begin() + rows * columns, bf16{0});
                        product(rows, width, most, narrowed.data(), columns, values.paired.data(), width, found.data(), width, false);
                        for (Index i = 0; i < count; ++i)
                            for (Index w = 0; w < width; ++w)
                                to[((first + i) * heads + head) * width + w] = narrow<bf16>(found[i * width + w] * shares[i]);
                    }
            }
    }
}

void attend_backward(Index segments, const Index* firsts, const Index* ends, const Index* starts, const Index* ranges, const Index* seen,
                     Index key_heads, Index groups, Index width, const bf16* query, Index query_apart, const bf16* key, Index key_apart,
                     const bf16* value, Index value_apart, const bf16* grad, Index grad_apart, const bf16* output, const float* logsums,
                     bf16* to_query, float* to_keyed) {
    const Segments all{firsts, ends, starts, ranges, seen};
    const Index heads = key_heads * groups;
#pragma omp parallel
    {
        const Tiles tiles;
        Stretch queries(width), grads(width);
        std::vector<float> scores(QUERIES * KEYS), grad_scores(QUERIES * KEYS), found(QUERIES * width), to_keys, to_values;
        std::vector<float> along(QUERIES), logs(QUERIES);
        std::vector<Index> sees(QUERIES);
        std::vector<bf16> by_rows(QUERIES * KEYS);
        std::vector<Pair> score_pairs(QUERIES / 2 * KEYS), weight_pairs(QUERIES / 2 * KEYS);
#pragma omp for collapse(2) ordered schedule(static, 1)
        for (Index s = 0; s < segments; ++s)
            for (Index h = 0; h < key_heads; ++h) {
                const std::vector<Index> places = all.keys(s);
                const Laid keys(places, key + h * width, key_apart, width, true, true);
                const Laid values(places, value + h * width, value_apart, width, false, true);
                const Index columns = keys.columns;
                to_keys.assign(width * columns, 0), to_values.assign(width * columns, 0);
                for (Index first = firsts[s]; first < ends[s]; first += QUERIES)
                    for (Index g = 0; g < groups; ++g) {
                        const Index count = std::min(QUERIES, ends[s] - first), head = h * groups + g;
                        const Index rows = up(count), most = up(seen[first + count - 1]);
                        queries.read(query + first * query_apart + head * width, query_apart, count, width, true);
                        grads.read(grad + first * grad_apart + head * width, grad_apart, count, width, true);
                        for (Index i = 0; i < rows; ++i) {
                            const Index place = (first + i) * heads + head;
                            sees[i] = i < count ? seen[first + i] : 0, logs[i] = i < count ? logsums[place] : 0;
                            along[i] = i < count ? dot(&grads.rows[i * width], output + place * width, width) : 0;  // P dP = dO O
                        }
                        for (Index at = 0; at < most; at += KEYS) {
                            const Index many = std::min(KEYS, most - at);
                            product(rows, many, width, queries.rows.data(), width, &keys.turned[at], columns, scores.data(), KEYS, false);
                            product(rows, many, width, grads.rows.data(), width, &values.turned[at], columns, grad_scores.data(), KEYS, false);
                            for (Index i = 0; i < rows; i += 2) {
                                const Index one = i * KEYS, two = one + KEYS;
                                const Row both[] = {{&scores[one], &grad_scores[one], sees[i] - at, logs[i], along[i]},
                                                    {&scores[two], &grad_scores[two], sees[i + 1] - at, logs[i + 1], along[i + 1]}};
                                bf16* const to[] = {&by_rows[one], &by_rows[two]};
                                score_gradients(many, both, to, &weight_pairs[one / 2], &score_pairs[one / 2]);
                            }
                            product(rows, width, many, by_rows.data(), KEYS, &keys.paired[at / 2 * width], width, found.data(), width, at > 0);
                            product(width, many, rows, queries.turned.data(), QUERIES, score_pairs.data(), KEYS, &to_keys[at], columns, true);
                            product(width, many, rows, grads.turned.data(), QUERIES, weight_pairs.data(), KEYS, &to_values[at], columns, true);
                        }
                        for (Index i = 0; i < count; ++i)
                            for (Index w = 0; w < width; ++w)
                                to_query[((first + i) * heads + head) * width + w] = narrow<bf16>(found[i * width + w]);
                    }
#pragma omp ordered
                for (Index c = 0; c < Index(places.size()); ++c) {
                    float *of_key = to_keyed + (places[c] * 2 * key_heads + h) * width, *of_value = of_key + key_heads * width;
                    for (Index w = 0; w < width; ++w) of_key[w] += to_keys[w * columns + c], of_value[w] += to_values[w * columns + c];
                }
            }
    }
}

}  // extern "C"

#else

extern "C" {
void attend() {}
void attend_backward() {}
}

#endif
