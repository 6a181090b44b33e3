// The small-batch matrix product of stream_product.cuh, for AMD: out = in * weight^T for at most 16
// rows of `in`, bound by the reading of the weights.
//
//   - A block of eight waves works on tiles of 16 output columns (of each part) and its waves share
//     out k in chunks of 32. Weights go straight into registers in MFMA layout: a lane's 16 bytes
//     are eight neighbouring k of one column, for weights and rows alike; no shuffles.
//   - One stage of weights is on its way while another is multiplied, across tiles, and the first
//     two are requested before the rows are normalised: weights depend on nobody.
//   - Sums of the waves meet in shared memory, in fixed order, in two buffers, so that there is one
//     barrier a tile. What an epilogue reads besides is asked for before the sums are made.
//   - Where shared memory (64 KiB on gfx942) does not hold all rows, they are taken in groups, each
//     with a launch of its own: the weights of the second come from the last-level cache.
//
// A row's result does not depend on the other rows.
#pragma once

#include <algorithm>

#include "device/gpu/gpu_mfma.h"
#include "ops/gpu_support.h"
#include "ops/stream/stream_rows.cuh"

namespace millrace::MILLRACE_GPU::stream {

constexpr int kWaves = 8;
constexpr int kThreads = kWaves * gpu::kWave;
constexpr int kChunk = 32;  // of k: one 16-byte load a lane
constexpr int kTileColumns = 16;
constexpr int kMostRows = 16;
constexpr int kStageLoads = 6;  // 16-byte loads of weights a lane makes in a stage
constexpr int kBlocksEach = 2;  // of a multiprocessor, when rows are few

// Bytes between staged rows: 16 beyond the row, so that the lanes of a load hit all banks.
__host__ __device__ constexpr std::int64_t staged_pitch(std::int64_t k) {
  return 2 * k + 16;
}

template <int kParts, typename Rows, typename Epilogue>
class Product {
 public:
  static constexpr int kUnroll = kStageLoads / kParts;  // chunks
  static constexpr std::int64_t kSquareBytes = Rows::kNormed ? kMostRows * kWaves * 4 : 0;
  static constexpr std::int64_t kRowSumBytes = 2 * kWaves * kParts * kTileColumns * 4;
  // Shared memory that each row takes, and what they all do.
  static std::int64_t row_bytes(std::int64_t k) {
    return kRowSumBytes + (Rows::kStaged ? staged_pitch(k) : 0);
  }
  static std::int64_t shared_bytes(int rows, std::int64_t k) {
    return kSquareBytes + rows * row_bytes(k);
  }

  // Rows [first, first + rows) of `in`.
  __device__ Product(const Weights& weights, std::int64_t columns, const Rows& in, int first,
                     int rows, const Epilogue& epilogue)
      : weights_(weights),
        columns_(columns),
        in_(in),
        first_row_(first),
        rows_(rows),
        epilogue_(epilogue) {
    const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
    wave_ = static_cast<int>(threadIdx.x) / gpu::kWave;
    g_ = lane / 16;
    r_ = lane % 16;
    chunks_ = static_cast<int>(weights.k) / kChunk;
    stages_ = (chunks_ + kWaves * kUnroll - 1) / (kWaves * kUnroll);
    std::byte* shared = gpu::dynamic_shared();
    squares_ = reinterpret_cast<float*>(shared);
    sums_ = reinterpret_cast<float*>(shared + kSquareBytes);
    staged_ = shared + kSquareBytes + rows * kRowSumBytes;
  }

  __device__ void run() {
    const int step = static_cast<int>(gridDim.x);
    const int first_tile = static_cast<int>(blockIdx.x);
    // The same for all blocks; a tile too far is empty.
    const int total = (weights_.tiles + step - 1) / step * stages_;
    Stage buffers[2];
    Cursor loaded = {first_tile, 0};
#pragma unroll
    for (int b = 0; b < 2; ++b) {
      load_weights(buffers[b], loaded);
      advance(loaded, step);
    }
    typename Epilogue::Early early = {};
    fetch_early(early, first_tile);
    if constexpr (Rows::kStaged) stage_rows();

    Cursor done = {first_tile, 0};
    float sums[kParts][4] = {};
    int finished = 0;
    for (int first = 0; first < total; first += 2) {
#pragma unroll
      for (int b = 0; b < 2; ++b) {
        if (first + b >= total) break;
        multiply(sums, buffers[b], done.stage);
        load_weights(buffers[b], loaded);
        advance(loaded, step);
        if (done.stage + 1 == stages_) {
          finish(sums, early, done.tile, finished++ % 2);
          fetch_early(early, done.tile + step);
          for (int part = 0; part < kParts; ++part)
            for (int i = 0; i < 4; ++i) sums[part][i] = 0.0f;
        }
        advance(done, step);
      }
    }
  }

 private:
  struct Stage {
    gpu::Bits16 weight[kUnroll][kParts];
  };

  // A stage of this block's work.
  struct Cursor {
    int tile, stage;
  };
  __device__ void advance(Cursor& at, int step) const {
    if (++at.stage < stages_) return;
    at.stage = 0;
    at.tile += step;
  }

  __device__ int chunk_of(int stage, int u) const {
    return (stage * kUnroll + u) * kWaves + wave_;
  }

  // Zeros where there are no weights: beyond the last column or chunk.
  __device__ void load_weights(Stage& stage, const Cursor& at) const {
    const std::int64_t column = std::int64_t{at.tile} * kTileColumns + r_;
    for (int u = 0; u < kUnroll; ++u) {
      const int chunk = chunk_of(at.stage, u);
      const bool there = chunk < chunks_ && column < columns_;
      for (int part = 0; part < kParts; ++part)
        stage.weight[u][part] = there ? gpu::load_once(weights_.part[part] + column * weights_.k +
                                                       std::int64_t{chunk} * kChunk + 8 * g_)
                                      : gpu::Bits16{};
    }
  }

  __device__ void stage_rows() const {
    const std::int64_t k = weights_.k;
    if constexpr (Rows::kNormed) {
      stage_normed_rows();
    } else {
      for (int m = 0; m < rows_; ++m)
        for (std::int64_t c = 8 * static_cast<std::int64_t>(threadIdx.x); c < k; c += 8 * kThreads)
          *reinterpret_cast<gpu::Bits16*>(staged_ + m * staged_pitch(k) + 2 * c) =
              *reinterpret_cast<const gpu::Bits16*>(in_.data + (first_row_ + m) * in_.stride + c);
    }
    __syncthreads();
  }

  __device__ void stage_normed_rows() const {
    const std::int64_t k = weights_.k;
    for (int m = 0; m < rows_; ++m) {
      const int at = first_row_ + m;
      const float* row = in_.data + (in_.gather ? in_.gather[at] : at) * in_.stride;
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
      if (g_ == 0 && r_ == 0) squares_[m * kWaves + wave_] = squares;
    }
  }

  // Eight neighbouring values of row r_, zeros beyond the last row.
  __device__ gpu::Bits16 load_row(int chunk) const {
    if (r_ >= rows_ || chunk >= chunks_) return {};
    const std::int64_t at = std::int64_t{chunk} * kChunk + 8 * g_;
    if constexpr (Rows::kStaged)
      return *reinterpret_cast<const gpu::Bits16*>(staged_ + r_ * staged_pitch(weights_.k) +
                                                   2 * at);
    else
      return *reinterpret_cast<const gpu::Bits16*>(in_.data + (first_row_ + r_) * in_.stride + at);
  }

  __device__ void multiply(float (&sums)[kParts][4], const Stage& stage, int index) const {
    gpu::Bits16 in[kUnroll];
    for (int u = 0; u < kUnroll; ++u) in[u] = load_row(chunk_of(index, u));
    for (int u = 0; u < kUnroll; ++u)
      for (int part = 0; part < kParts; ++part)
        gpu::mfma_16x16x32(sums[part], stage.weight[u][part], in[u]);
  }

  // The value this thread finishes: a row and a column; false when there is none.
  __device__ bool output(int tile, int& m, std::int64_t& column) const {
    m = static_cast<int>(threadIdx.x) / kTileColumns;
    column = std::int64_t{tile} * kTileColumns + threadIdx.x % kTileColumns;
    return m < rows_ && column < columns_;
  }

  __device__ void fetch_early(typename Epilogue::Early& early, int tile) const {
    int m = 0;
    std::int64_t column = 0;
    if (output(tile, m, column)) early = epilogue_.early(first_row_ + m, static_cast<int>(column));
  }

  __device__ float scale_of(int m) const {
    if constexpr (Rows::kNormed) {
      float squares = 0;
      for (int w = 0; w < kWaves; ++w) squares += squares_[m * kWaves + w];
      return 1.0f / sqrtf(squares / static_cast<float>(weights_.k) + in_.epsilon);
    } else {
      return 1.0f;
    }
  }

  // [buffer][wave][part][row][column]
  __device__ float* sums_of(int buffer, int wave, int part) const {
    return sums_ + ((buffer * kWaves + wave) * kParts + part) * rows_ * kTileColumns;
  }

  __device__ void finish(const float (&sums)[kParts][4], const typename Epilogue::Early& early,
                         int tile, int buffer) const {
    // The other buffer is free until every thread is past the next barrier. A lane has four
    // neighbouring columns of row r_.
    if (r_ < rows_)
      for (int part = 0; part < kParts; ++part)
        gpu::store4(sums_of(buffer, wave_, part) + r_ * kTileColumns + 4 * g_,
                    {sums[part][0], sums[part][1], sums[part][2], sums[part][3]});
    __syncthreads();
    int m = 0;
    std::int64_t column = 0;
    if (!output(tile, m, column)) return;
    const float scale = scale_of(m);
    float values[kParts];
    for (int part = 0; part < kParts; ++part) {
      float sum = 0;
      for (int w = 0; w < kWaves; ++w)
        sum += sums_of(buffer, w, part)[m * kTileColumns + column % kTileColumns];
      values[part] = sum * scale;
    }
    epilogue_(first_row_ + m, static_cast<int>(column), values, early);
  }

  const Weights& weights_;
  std::int64_t columns_;
  const Rows& in_;
  int first_row_, rows_;
  const Epilogue& epilogue_;
  int wave_, g_, r_;  // lane 16g + r
  int chunks_, stages_;
  float* squares_;  // [row][wave]
  float* sums_;
  std::byte* staged_;
};

// At most 128 registers, so that a second block fits.
template <int kParts, typename Rows, typename Epilogue>
__global__ void __launch_bounds__(kThreads, 4)
    stream_product(Weights weights, std::int64_t columns, Rows in, int first, int rows,
                   Epilogue epilogue) {
  Product<kParts, Rows, Epilogue>(weights, columns, in, first, rows, epilogue).run();
}

// k is a multiple of 32; rows are 16-byte aligned.
template <int kParts, typename Rows, typename Epilogue>
void launch(Weights weights, std::int64_t columns, const Rows& in, const Epilogue& epilogue,
            Stream& stream) {
  using Kernel = Product<kParts, Rows, Epilogue>;
  weights.tiles = static_cast<int>((columns + kTileColumns - 1) / kTileColumns);
  const std::int64_t room = gpu::shared_limit(stream) - Kernel::kSquareBytes;
  const int fit =
      static_cast<int>(std::min<std::int64_t>(kMostRows, room / Kernel::row_bytes(weights.k)));
  const int groups = (in.rows + fit - 1) / fit;
  const int each = (in.rows + groups - 1) / groups;
  const int places = kBlocksEach * gpu::multiprocessors(stream);
  const int rounds = (weights.tiles + places - 1) / places;
  const int blocks = (weights.tiles + rounds - 1) / rounds;
  for (int first = 0; first < in.rows; first += each) {
    const int rows = std::min(each, in.rows - first);
    gpu::launch(stream_product<kParts, Rows, Epilogue>,
                {.grid = {static_cast<unsigned>(blocks)},
                 .block = {kThreads},
                 .shared_bytes = static_cast<std::size_t>(Kernel::shared_bytes(rows, weights.k)),
                 .overlaps = true},
                stream, weights, columns, in, first, rows, epilogue);
  }
}

}  // namespace millrace::MILLRACE_GPU::stream
