// The small-batch matrix product that every fused decode op is built on: out = in * weight^T for at
// most 16 rows of `in`, bound by the reading of the weights and nothing else.
//
//   - A block of 8 waves owns groups of 8 * kTiles output columns (per part). The waves share out
//     k in chunks of 32: wave w takes chunks w, w + 8, ..., so that together they read 512
//     neighbouring bytes of each weight row, straight into registers in tensor core layout. Since
//     the order of k within a product is free, a lane's 16 bytes are k = 8t .. 8t+7 of its chunk,
//     for weights and activations alike: two products of 16x8x16, no shuffles, no repacking.
//   - Three stages of weights are on their way while one is multiplied, across groups, and the
//     first ones are requested before wait_for_previous(): weights depend on nobody. What lies
//     behind them is asked into the L2 cache. Buffers are named by the unrolled loop: a copy from
//     one to another would wait for the memory.
//   - Sums of the waves meet in shared memory, in fixed order; an epilogue sees the whole sums of
//     all parts for one (row, column) in one thread.
//
// A row's result does not depend on the other rows.
#pragma once

#include "device/gpu/gpu_mma.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU::stream {

constexpr int kWaves = 8;
constexpr int kThreads = kWaves * gpu::kWave;
constexpr int kChunk = 32;  // of k: one 16-byte load a lane
constexpr int kTileColumns = 8;
constexpr int kMostRows = 16;
constexpr int kStageLoads = 4;  // 16-byte loads of weights a lane makes in a stage
constexpr int kBuffers = 4;     // stages: one being multiplied, the others on their way

// Up to three matrices of one shape [columns, k] whose columns of equal index belong together.
struct Weights {
  const BF16* part[3];
  std::int64_t k;
  int groups;          // of kTiles tiles
  int prefetch_bytes;  // asked into L2 beyond the first stage, a block
};

// The rows are BF16; every use reads them from global memory.
struct PlainRows {
  static constexpr bool kStaged = false;
  static constexpr bool kNormed = false;
  const BF16* data;
  std::int64_t stride;
  int rows;
};

// The same, copied to shared memory first, so that no product waits for them: where they fit.
struct CopiedRows : PlainRows {
  static constexpr bool kStaged = true;
  static constexpr std::int64_t kMostBytes = 64 * 1024;
};

// The rows are float and are normalised on the way (RMSNorm, spec 4.2): x * weight is rounded to
// BF16, the factor 1/rms multiplies the finished sums.
struct NormedRows {
  static constexpr bool kStaged = true;
  static constexpr bool kNormed = true;
  const float* data;
  std::int64_t stride;
  const std::int32_t* gather;  // row m is gather[m] of data; null: m
  const float* weight;
  float epsilon;
  int rows;
};

// Bytes between staged rows: 64 beyond the row, so that the lanes of a load hit all banks.
__host__ __device__ constexpr std::int64_t staged_pitch(std::int64_t k) {
  return 2 * k + 64;
}

template <typename Rows>
std::size_t shared_bytes(const Rows& in, std::int64_t k, int columns_a_group) {
  const std::int64_t sums = 2LL * kWaves * columns_a_group * kMostRows * 4;
  const std::int64_t squares = kMostRows * kWaves * 4;
  return static_cast<std::size_t>(sums + squares + (Rows::kStaged ? in.rows * staged_pitch(k) : 0));
}

// kRowTiles 1: at most 8 rows. kParts * kTiles tiles of 8 columns make a group.
template <int kParts, int kTiles, int kRowTiles, typename Rows, typename Epilogue>
class Product {
 public:
  static constexpr int kN = kParts * kTiles;
  static constexpr int kUnroll = kStageLoads / kN > 0 ? kStageLoads / kN : 1;  // chunks a stage
  static constexpr int kRows = 8 * kRowTiles;

  __device__ Product(const Weights& weights, const Rows& in, const Epilogue& epilogue)
      : weights_(weights), in_(in), epilogue_(epilogue) {
    const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
    wave_ = static_cast<int>(threadIdx.x) / gpu::kWave;
    g_ = lane / 4;
    t_ = lane % 4;
    chunks_ = static_cast<int>(weights.k) / kChunk;
    stages_ = (chunks_ + kWaves * kUnroll - 1) / (kWaves * kUnroll);
    std::byte* shared = gpu::dynamic_shared();
    sums_ = reinterpret_cast<float*>(shared);
    squares_ = sums_ + 2 * kWaves * kN * kRows * kTileColumns;
    staged_ = reinterpret_cast<std::byte*>(squares_ + kMostRows * kWaves);
  }

  __device__ void run() {
    gpu::let_next_start();
    const int total = groups_of_block() * stages_;
    Stage buffers[kBuffers];
    Cursor loaded = {static_cast<int>(blockIdx.x), 0};
#pragma unroll
    for (int b = 0; b + 1 < kBuffers; ++b) {
      if (b < total) load_weights(buffers[b], loaded);
      advance(loaded);
    }
    prefetch();
    epilogue_.prepare();
    gpu::wait_for_previous();
    if constexpr (Rows::kStaged) stage_rows();

    Cursor done = {static_cast<int>(blockIdx.x), 0};
    float sums[kN][4] = {};
    int finished = 0;
    for (int first = 0; first < total; first += kBuffers) {
#pragma unroll
      for (int b = 0; b < kBuffers; ++b) {
        const int index = first + b;
        if (index >= total) break;
        if (index + kBuffers - 1 < total)
          load_weights(buffers[(b + kBuffers - 1) % kBuffers], loaded);
        advance(loaded);
        multiply(sums, buffers[b], done.stage);
        if (done.stage + 1 == stages_) {
          finish(sums, done.group, finished++ % 2);
          for (int n = 0; n < kN; ++n)
            for (int i = 0; i < 4; ++i) sums[n][i] = 0.0f;
        }
        advance(done);
      }
    }
  }

 private:
  struct Stage {
    gpu::Bits16 weight[kUnroll][kN];
  };

  __device__ int groups_of_block() const {
    const int first = static_cast<int>(blockIdx.x);
    const int step = static_cast<int>(gridDim.x);
    return first < weights_.groups ? (weights_.groups - first + step - 1) / step : 0;
  }

  // A stage of this block's work.
  struct Cursor {
    int group, stage;
  };
  __device__ void advance(Cursor& at) const {
    if (++at.stage < stages_) return;
    at.stage = 0;
    at.group += static_cast<int>(gridDim.x);
  }

  __device__ int chunk_of(int stage, int u) const {
    return (stage * kUnroll + u) * kWaves + wave_;
  }

  __device__ void load_weights(Stage& stage, const Cursor& at) const {
    for (int u = 0; u < kUnroll; ++u) {
      const int chunk = chunk_of(at.stage, u);
      for (int n = 0; n < kN; ++n) {
        const int column = (at.group * kTiles + n % kTiles) * kTileColumns + g_;
        const BF16* from =
            weights_.part[n / kTiles] + column * weights_.k + std::int64_t{chunk} * kChunk + 8 * t_;
        stage.weight[u][n] = chunk < chunks_ ? gpu::load_once(from) : gpu::Bits16{};
      }
    }
  }

  // The columns of a tile are neighbours: its weights are one piece of memory. Thread i asks for
  // the i-th lines of what this block reads first.
  __device__ void prefetch() const {
    constexpr int kLine = 128;
    const std::int64_t tile_bytes = kTileColumns * weights_.k * 2;
    const int groups = groups_of_block();
    for (std::int64_t at = kLine * static_cast<std::int64_t>(threadIdx.x);
         at < weights_.prefetch_bytes; at += kLine * kThreads) {
      const int tile = static_cast<int>(at / tile_bytes);
      if (tile >= groups * kN) return;
      const int group = static_cast<int>(blockIdx.x + tile / kN * gridDim.x);
      const int n = tile % kN;
      const BF16* part = weights_.part[0];  // not indexed: the array stays in registers
      if (n / kTiles == 1) part = weights_.part[1];
      if (n / kTiles == 2) part = weights_.part[2];
      const BF16* first = part + (group * kTiles + n % kTiles) * kTileColumns * weights_.k;
      gpu::prefetch_l2(reinterpret_cast<const std::byte*>(first) + at % tile_bytes);
    }
  }

  __device__ void stage_rows() const {
    const std::int64_t k = weights_.k;
    if constexpr (!Rows::kNormed) {
      for (int m = 0; m < in_.rows; ++m)
        for (std::int64_t c = 8 * static_cast<std::int64_t>(threadIdx.x); c < k; c += 8 * kThreads)
          *reinterpret_cast<gpu::Bits16*>(staged_ + m * staged_pitch(k) + 2 * c) =
              *reinterpret_cast<const gpu::Bits16*>(in_.data + m * in_.stride + c);
    } else {
      stage_normed_rows();
    }
    __syncthreads();
  }

  __device__ void stage_normed_rows() const {
    const std::int64_t k = weights_.k;
    for (int m = 0; m < in_.rows; ++m) {
      const float* row = in_.data + (in_.gather ? in_.gather[m] : m) * in_.stride;
      float squares = 0;
      for (std::int64_t c = 8 * static_cast<std::int64_t>(threadIdx.x); c < k; c += 8 * kThreads) {
        const gpu::Floats4 a = gpu::load4(row + c);
        const gpu::Floats4 b = gpu::load4(row + c + 4);
        const gpu::Floats4 v = gpu::load4(in_.weight + c);
        const gpu::Floats4 w = gpu::load4(in_.weight + c + 4);
        squares += a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w;
        squares += b.x * b.x + b.y * b.y + b.z * b.z + b.w * b.w;
        *reinterpret_cast<gpu::Bits16*>(staged_ + m * staged_pitch(k) + 2 * c) = {
            gpu::pack_bf16(a.x * v.x, a.y * v.y), gpu::pack_bf16(a.z * v.z, a.w * v.w),
            gpu::pack_bf16(b.x * w.x, b.y * w.y), gpu::pack_bf16(b.z * w.z, b.w * w.w)};
      }
      squares = gpu::wave_sum(squares);
      if (g_ == 0 && t_ == 0) squares_[m * kWaves + wave_] = squares;
    }
  }

  // Eight neighbouring values of row g_ + 8 * half, zeros beyond the last row.
  __device__ gpu::Bits16 load_row(int half, int chunk) const {
    const int row = g_ + 8 * half;
    if (row >= in_.rows || chunk >= chunks_) return {};
    const std::int64_t at = std::int64_t{chunk} * kChunk + 8 * t_;
    if constexpr (Rows::kStaged)
      return *reinterpret_cast<const gpu::Bits16*>(staged_ + row * staged_pitch(weights_.k) +
                                                   2 * at);
    else
      return *reinterpret_cast<const gpu::Bits16*>(in_.data + row * in_.stride + at);
  }

  __device__ void multiply(float (&sums)[kN][4], const Stage& stage, int index) const {
    gpu::Bits16 in[kUnroll][kRowTiles];
    for (int u = 0; u < kUnroll; ++u)
      for (int half = 0; half < kRowTiles; ++half) in[u][half] = load_row(half, chunk_of(index, u));
    for (int u = 0; u < kUnroll; ++u) {
      const gpu::Bits16 low = in[u][0];
      gpu::Bits16 high = {};
      if constexpr (kRowTiles == 2) high = in[u][1];
      for (int n = 0; n < kN; ++n) {
        const gpu::Bits16 w = stage.weight[u][n];
        gpu::mma_16x8x16(sums[n], {low.x, high.x, low.y, high.y}, {w.x, w.y});
        gpu::mma_16x8x16(sums[n], {low.z, high.z, low.w, high.w}, {w.z, w.w});
      }
    }
  }

  __device__ void finish(const float (&sums)[kN][4], int group, int buffer) const {
    float* base = sums_ + buffer * kWaves * kN * kRows * kTileColumns;
    for (int n = 0; n < kN; ++n)
      for (int half = 0; half < kRowTiles; ++half) {
        float* to = base + ((wave_ * kN + n) * kRows + g_ + 8 * half) * kTileColumns + 2 * t_;
        to[0] = sums[n][2 * half];
        to[1] = sums[n][2 * half + 1];
      }
    __syncthreads();
    // The other buffer is free until every thread is past the next barrier.
    const int outputs = kTiles * in_.rows * kTileColumns;
    for (int i = static_cast<int>(threadIdx.x); i < outputs; i += kThreads) {
      const int tile = i / (in_.rows * kTileColumns);
      const int m = i / kTileColumns % in_.rows;
      const int column = i % kTileColumns;
      float scale = 1.0f;
      if constexpr (Rows::kNormed) {
        float squares = 0;
        for (int w = 0; w < kWaves; ++w) squares += squares_[m * kWaves + w];
        scale = 1.0f / sqrtf(squares / static_cast<float>(weights_.k) + in_.epsilon);
      }
      float values[kParts];
      for (int part = 0; part < kParts; ++part) {
        float sum = 0;
        for (int w = 0; w < kWaves; ++w)
          sum += base[((w * kN + part * kTiles + tile) * kRows + m) * kTileColumns + column];
        values[part] = sum * scale;
      }
      epilogue_(m, (group * kTiles + tile) * kTileColumns + column, values);
    }
  }

  const Weights& weights_;
  const Rows& in_;
  const Epilogue& epilogue_;
  int wave_, g_, t_;  // lane 4g + t
  int chunks_, stages_;
  float* sums_;     // [2][wave][tile of the group][row][column]
  float* squares_;  // [row][wave]
  std::byte* staged_;
};

template <int kParts, int kTiles, int kRowTiles, typename Rows, typename Epilogue>
__global__ void __launch_bounds__(kThreads, 2)
    stream_product(Weights weights, Rows in, Epilogue epilogue) {
  Product<kParts, kTiles, kRowTiles, Rows, Epilogue>(weights, in, epilogue).run();
}

// How far ahead a block asks weights into L2.
constexpr int kPrefetchBytes = 96 * 1024;

// Columns a part are a multiple of 8 * kTiles, k one of 32; rows are 16-byte aligned.
template <int kParts, int kTiles, typename Rows, typename Epilogue>
void launch(Weights weights, std::int64_t columns, const Rows& in, const Epilogue& epilogue,
            Stream& stream) {
  const int multiprocessors = gpu::multiprocessors(stream);
  weights.groups = static_cast<int>(columns / (kTileColumns * kTiles));
  weights.prefetch_bytes = kPrefetchBytes;
  const int rounds = (weights.groups + multiprocessors - 1) / multiprocessors;
  const int blocks = (weights.groups + rounds - 1) / rounds;
  const gpu::LaunchShape shape = {
      .grid = {static_cast<unsigned>(blocks)},
      .block = {kThreads},
      .shared_bytes = shared_bytes(in, weights.k, kParts * kTiles * kTileColumns),
      .overlaps = true};
  gpu::launch(in.rows <= 8 ? stream_product<kParts, kTiles, 1, Rows, Epilogue>
                           : stream_product<kParts, kTiles, 2, Rows, Epilogue>,
              shape, stream, weights, in, epilogue);
}

// The number of tiles a group that leaves the fewest multiprocessors idle at the end.
inline int best_tiles(std::int64_t columns, int multiprocessors) {
  const std::int64_t tiles = columns / kTileColumns;
  int best = 1;
  std::int64_t best_cost = tiles + 1;
  for (int t = 1; t <= 4; ++t) {
    if (tiles % t != 0) continue;
    const std::int64_t groups = tiles / t;
    const std::int64_t cost = (groups + multiprocessors - 1) / multiprocessors * t;
    if (cost <= best_cost) {
      best_cost = cost;
      best = t;
    }
  }
  return best;
}

template <typename Rows, typename Epilogue>
void launch_balanced(const Weights& weights, std::int64_t columns, const Rows& in,
                     const Epilogue& epilogue, Stream& stream) {
  switch (best_tiles(columns, gpu::multiprocessors(stream))) {
    case 1:
      return launch<1, 1>(weights, columns, in, epilogue, stream);
    case 2:
      return launch<1, 2>(weights, columns, in, epilogue, stream);
    case 3:
      return launch<1, 3>(weights, columns, in, epilogue, stream);
    default:
      return launch<1, 4>(weights, columns, in, epilogue, stream);
  }
}

}  // namespace millrace::MILLRACE_GPU::stream
