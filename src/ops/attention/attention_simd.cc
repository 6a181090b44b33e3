// Attention of a few rows of one sequence, for the query heads that share a KV head: the cached
// blocks are walked once, in order of position, with an online softmax (Milakov and Gimelshein
// 2018) per query. A block's keys are turned so that lanes run over its 16 positions for the
// scores, then lanes run over head_dim for the weighted sum of its values.
//
// Every query goes through the same operations whatever rows share its tile, and positions that it
// may not see are left out, not multiplied by zero: what lies there may be NaN.
#include "ops/attention/attention_kernels.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr int kBlock = kAttentionBlock;
constexpr int kParts = kBlock / kLanes;  // vectors of a block's positions
constexpr float kNothingYet = -1e30f;    // below every score, and finite: no NaN from differences
// Queries in registers at a time: two sums each for the scores, four vectors of head_dim after.
constexpr int kScoreQueries = kLanes == 16 ? 8 : 2;
constexpr int kSumQueries = kLanes == 16 ? 4 : 2;
constexpr int kSumVectors = 4;

// One thread's working memory, on its stack. Queries are numbered row by row, a row's heads
// together.
struct Tile {
  alignas(64) float q[kAttentionMostQueries * kAttentionMostHeadDim];    // scaled, [query][dim]
  alignas(64) float sum[kAttentionMostQueries * kAttentionMostHeadDim];  // [query][padded dim]
  alignas(64) float keys[kAttentionMostHeadDim * kBlock];                // [dim][position]
  alignas(64) float values[kBlock * kAttentionMostHeadDim];              // [position][padded dim]
  alignas(64) float weights[kAttentionMostQueries * kBlock];             // [query][position]
  Floats total[kAttentionMostQueries][kParts];
  float largest[kAttentionMostQueries];
};

// Elements [at, at + kLanes) of a cache row of `dim`, zeros beyond it.
template <DType kType>
MILLRACE_INLINE Floats cached(const void* row, int at, int dim) {
  using Element = typename CacheElement<kType>::Type;
  const Element* from = static_cast<const Element*>(row) + at;
  Element padded[kLanes] = {};
  if (at + kLanes > dim) {
    __builtin_memcpy(padded, from, static_cast<std::size_t>(dim - at) * sizeof(Element));
    from = padded;
  }
  return widen_any(from);
}

// Element i of the elements that share a 32-bit word.
template <DType kType>
MILLRACE_INLINE Floats element_of(Words words, int i) {
  if constexpr (kType == DType::BF16)
    return as_floats(i == 0 ? words << 16 : words & 0xffff0000u);
  else if constexpr (kType == DType::F8_E4M3)
    return fp8_of((words >> (8 * i)) & 0xffu);
  else
    return as_floats(words);
}

// keys[d][t] of a block. Positions that nobody has written yet come along and are masked later.
// Whole words change places, with as many elements as they hold, and are widened after.
template <DType kType>
MILLRACE_INLINE void turn_keys(Tile& tile, const char* block, int dim, std::int64_t row_bytes) {
  constexpr int kEach = 4 / static_cast<int>(sizeof(typename CacheElement<kType>::Type));
  constexpr int kStep = kEach * kLanes;
  for (int part = 0; part < kParts; ++part) {
    const char* first = block + part * kLanes * row_bytes;
    float* to = tile.keys + part * kLanes;
    int d = 0;
    for (; d + kStep <= dim; d += kStep) {
      Floats rows[kLanes];
      for (int t = 0; t < kLanes; ++t)
        rows[t] = load_as<Floats>(first + t * row_bytes + d * (4 / kEach));
      transpose(rows);
      for (int i = 0; i < kStep; ++i)
        store(to + (d + i) * kBlock, element_of<kType>(as_words(rows[i / kEach]), i % kEach));
    }
    for (; d < dim; d += kLanes) {
      Floats rows[kLanes];
      for (int t = 0; t < kLanes; ++t) rows[t] = cached<kType>(first + t * row_bytes, d, dim);
      transpose(rows);
      const int count = dim - d < kLanes ? dim - d : kLanes;
      for (int i = 0; i < count; ++i) store(to + (d + i) * kBlock, rows[i]);
    }
  }
}

// Scores of kQueries queries into tile.weights. Even and odd elements of head_dim have sums of
// their own: shorter chains.
template <int kQueries>
MILLRACE_INLINE void score(Tile& tile, int first_query, int dim) {
  const float* q = tile.q + first_query * dim;
  Floats even[kQueries][kParts] = {};
  Floats odd[kQueries][kParts] = {};
  int d = 0;
  for (; d + 2 <= dim; d += 2) {
    for (int part = 0; part < kParts; ++part) {
      const Floats k0 = load(tile.keys + d * kBlock + part * kLanes);
      const Floats k1 = load(tile.keys + (d + 1) * kBlock + part * kLanes);
      for (int i = 0; i < kQueries; ++i) {
        even[i][part] = fma(splat(q[i * dim + d]), k0, even[i][part]);
        odd[i][part] = fma(splat(q[i * dim + d + 1]), k1, odd[i][part]);
      }
    }
  }
  for (int part = 0; part < kParts; ++part) {
    for (int i = 0; i < kQueries; ++i) {
      if (d < dim)
        even[i][part] =
            fma(splat(q[i * dim + d]), load(tile.keys + d * kBlock + part * kLanes), even[i][part]);
      store(tile.weights + (first_query + i) * kBlock + part * kLanes,
            even[i][part] + odd[i][part]);
    }
  }
}

// Scores of one query to weights, for positions [first, last) of the block; 0 for the others.
MILLRACE_INLINE void soften(Tile& tile, int query, int first, int last, int padded) {
  float* weights = tile.weights + query * kBlock;
  Floats scores[kParts];
  Floats top = splat(kNothingYet);
  for (int part = 0; part < kParts; ++part) {
    scores[part] = load(weights + part * kLanes);
    if (last - first < kBlock) {
      const Ints position = lane_numbers() + part * kLanes;
      const Ints visible = (position >= first) & (position < last);
      scores[part] = select(visible, scores[part], splat(kNothingYet));
    }
    top = maximum(top, scores[part]);
  }
  // A NaN score is lost here, but not in its weight.
  const float largest = greatest(top);
  if (largest > tile.largest[query]) {
    const float shrink = exponential(splat(tile.largest[query] - largest))[0];
    tile.largest[query] = largest;
    for (int part = 0; part < kParts; ++part) tile.total[query][part] *= shrink;
    float* sum = tile.sum + query * padded;
    for (int d = 0; d < padded; d += kLanes) store(sum + d, load(sum + d) * shrink);
  }
  for (int part = 0; part < kParts; ++part) {
    const Floats weight = exponential(scores[part] - tile.largest[query]);
    tile.total[query][part] += weight;
    store(weights + part * kLanes, weight);
  }
}

// Values of a block: widened to tile.values for several groups of queries, or as they are cached.
struct CachedValues {
  const char* block;
  std::int64_t row_bytes;
  int dim;
};
template <DType kType>
MILLRACE_INLINE void widen_values(Tile& tile, const CachedValues& values, std::int64_t count,
                                  int padded) {
  for (int t = 0; t < kBlock && t < count; ++t)
    for (int d = 0; d < padded; d += kLanes)
      store(tile.values + t * padded + d,
            cached<kType>(values.block + t * values.row_bytes, d, values.dim));
}
struct WidenedValue {
  MILLRACE_INLINE Floats of(const Tile& tile, const CachedValues&, int t, int at, int padded) {
    return load(tile.values + t * padded + at);
  }
};
template <DType kType>
struct CachedValue {
  MILLRACE_INLINE Floats of(const Tile&, const CachedValues& values, int t, int at, int) {
    return cached<kType>(values.block + t * values.row_bytes, at, values.dim);
  }
};

// sum += weights * values over positions [first, last).
template <typename Value, int kQueries, int kVectors>
MILLRACE_INLINE void add_values(Tile& tile, const CachedValues& values, int query, int at,
                                int first, int last, int padded) {
  Floats sum[kQueries][kVectors];
  float* to = tile.sum + query * padded + at;
  for (int i = 0; i < kQueries; ++i)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = load(to + i * padded + v * kLanes);
  for (int t = first; t < last; ++t) {
    Floats value[kVectors];
    for (int v = 0; v < kVectors; ++v)
      value[v] = Value::of(tile, values, t, at + v * kLanes, padded);
    for (int i = 0; i < kQueries; ++i) {
      const Floats weight = splat(tile.weights[(query + i) * kBlock + t]);
      for (int v = 0; v < kVectors; ++v) sum[i][v] = fma(weight, value[v], sum[i][v]);
    }
  }
  for (int i = 0; i < kQueries; ++i)
    for (int v = 0; v < kVectors; ++v) store(to + i * padded + v * kLanes, sum[i][v]);
}

template <typename Value, int kQueries>
MILLRACE_INLINE void add_values_of(Tile& tile, const CachedValues& values, int query, int first,
                                   int last, int padded) {
  int at = 0;
  for (; at + kSumVectors * kLanes <= padded; at += kSumVectors * kLanes)
    add_values<Value, kQueries, kSumVectors>(tile, values, query, at, first, last, padded);
  for (; at < padded; at += kLanes)
    add_values<Value, kQueries, 1>(tile, values, query, at, first, last, padded);
}

// The sums of queries [query, end).
template <typename Value>
MILLRACE_INLINE void add_values_to(Tile& tile, const CachedValues& values, int query, int end,
                                   int first, int last, int padded) {
  for (; query + kSumQueries <= end; query += kSumQueries)
    add_values_of<Value, kSumQueries>(tile, values, query, first, last, padded);
  for (; query < end; ++query) add_values_of<Value, 1>(tile, values, query, first, last, padded);
}

// Lines of a block that comes soon: blocks lie anywhere, so that no hardware guesses them.
MILLRACE_INLINE void fetch(const char* from, std::int64_t bytes) {
  for (std::int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i);
}

// Rows [first_row, first_row + rows) of a span.
template <DType kType>
void attend(const AttentionParams& p, const SpanView& span, std::int64_t first_row, int rows,
            int kv_head) {
  const KvView& kv = p.cache;
  const int dim = kv.head_dim;
  const int padded = (dim + kLanes - 1) / kLanes * kLanes;
  const int group = p.heads / kv.kv_heads;
  const int queries = rows * group;
  const std::int64_t row_bytes =
      dim * static_cast<std::int64_t>(sizeof(typename CacheElement<kType>::Type));
  const std::int64_t block_bytes = row_bytes * kBlock;
  const std::int32_t* table = p.batch.block_tables + span.table * p.batch.table_stride;
  const auto block_at = [&](const void* cache, std::int64_t b) {
    return static_cast<const char*>(cache) +
           (std::int64_t{table[b]} * kv.kv_heads + kv_head) * block_bytes;
  };

  Tile tile;
  for (int row = 0; row < rows; ++row) {
    const float* q = p.q.row<float>(span.first_row + first_row + row) + kv_head * group * dim;
    float* to = tile.q + row * group * dim;
    for (int i = 0; i < group * dim; ++i) to[i] = q[i] * p.scale;
  }
  for (int i = 0; i < queries; ++i) {
    tile.largest[i] = kNothingYet;
    for (int part = 0; part < kParts; ++part) tile.total[i][part] = Floats{};
  }
  for (int i = 0; i < queries * padded; i += kLanes) store(tile.sum + i, Floats{});

  const std::int64_t position = span.position + first_row;  // of the first row
  const auto first_seen = [&](std::int64_t at) {
    return p.window > 0 && at >= p.window ? at - p.window + 1 : std::int64_t{0};
  };
  const std::int64_t last_block = (position + rows - 1) / kBlock;
  for (std::int64_t b = first_seen(position) / kBlock; b <= last_block; ++b) {
    const std::int64_t start = b * kBlock;
    const char* keys = block_at(kv.key, b);
    const char* values = block_at(kv.value, b);
    const std::int64_t next = b + 1 <= last_block ? b + 1 : last_block;
    const std::int64_t later = b + 4 <= last_block ? b + 4 : last_block;
    fetch(block_at(kv.key, later), 256);
    fetch(block_at(kv.value, later), 256);
    fetch(block_at(kv.key, next), block_bytes);
    turn_keys<kType>(tile, keys, dim, row_bytes);
    const std::int64_t written = position + rows - start;  // positions of the block there are
    const CachedValues value_rows = {values, row_bytes, dim};
    const bool once = queries <= kSumQueries;  // then each is needed once
    if (!once) widen_values<kType>(tile, value_rows, written, padded);

    // Rows that see anything of the block: those at or behind it whose window reaches it.
    const int from_row = static_cast<int>(start > position ? start - position : 0);
    int to_row = rows;
    while (to_row > from_row && first_seen(position + to_row - 1) >= start + kBlock) --to_row;
    int query = from_row * group;
    const int end = to_row * group;
    for (; query + kScoreQueries <= end; query += kScoreQueries)
      score<kScoreQueries>(tile, query, dim);
    for (; query + kScoreQueries / 2 <= end; query += kScoreQueries / 2)
      score<kScoreQueries / 2>(tile, query, dim);
    for (; query < end; ++query) score<1>(tile, query, dim);

    fetch(block_at(kv.value, next), block_bytes);
    for (int row = from_row; row < to_row; ++row) {
      const std::int64_t at = position + row;
      const std::int64_t seen = first_seen(at) - start;
      const int first = static_cast<int>(seen > 0 ? seen : 0);
      const int last = static_cast<int>(at - start < kBlock - 1 ? at - start + 1 : kBlock);
      for (int i = row * group; i < (row + 1) * group; ++i) soften(tile, i, first, last, padded);
      if (once)
        add_values_to<CachedValue<kType>>(tile, value_rows, row * group, (row + 1) * group, first,
                                          last, padded);
      else
        add_values_to<WidenedValue>(tile, value_rows, row * group, (row + 1) * group, first, last,
                                    padded);
    }
  }
  for (int i = 0; i < queries; ++i) {
    Floats total = tile.total[i][0];
    for (int part = 1; part < kParts; ++part) total += tile.total[i][part];
    const float whole = sum(total);
    float* sums = tile.sum + i * padded;
    for (int d = 0; d < padded; d += kLanes) store(sums + d, load(sums + d) / whole);
    __builtin_memcpy(p.out.row<float>(span.first_row + first_row + i / group) +
                         (kv_head * group + i % group) * dim,
                     sums, static_cast<std::size_t>(dim) * sizeof(float));
  }
}

}  // namespace

void attention_rows(const AttentionParams& p, const SpanView& span, std::int64_t first, int rows,
                    int kv_head) {
  if (p.cache.dtype == DType::F32)
    attend<DType::F32>(p, span, first, rows, kv_head);
  else if (p.cache.dtype == DType::F8_E4M3)
    attend<DType::F8_E4M3>(p, span, first, rows, kv_head);
  else
    attend<DType::BF16>(p, span, first, rows, kv_head);
}

}  // namespace millrace::MILLRACE_ISA
