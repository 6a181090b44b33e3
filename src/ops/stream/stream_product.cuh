// The small-batch matrix product that every fused decode op is built on: out = in * weight^T for at
// most 8 rows of `in`, bound by the reading of the weights and nothing else.
//
//   - A team of 1, 2, 4 or 8 waves owns tiles of 8 output columns (of each part) and shares out k
//     in chunks of 32; teams are as small as still keeps every multiprocessor busy, since members
//     have to wait for each other and a wave alone does not. Weights are read as they lie, in
//     tensor core layout: the order of k within a product is free, so a lane's 16 bytes are
//     k = 8t .. 8t+7 of its chunk, for weights and activations alike: two products of 16x8x16, no
//     shuffles, no repacking.
//   - Every lane has a ring in shared memory that nobody else touches: no barrier stands between
//     asking for weights and using them. All but one of its stages are on their way while one is
//     multiplied, across tiles, and the first ones are requested before wait_for_previous():
//     weights depend on nobody. Two blocks fit a multiprocessor, so that the next kernel's first
//     weights arrive while this one ends.
//   - Sums of a team meet in shared memory, in fixed order. An epilogue sees the whole sums of all
//     parts for one (row, column) in one thread; what else it reads is asked for before they are
//     made.
//
// A row's result does not depend on the other rows.
#pragma once

#include "device/gpu/gpu_mma.h"
#include "ops/gpu_support.h"
#include "ops/stream/stream_rows.cuh"

namespace millrace::MILLRACE_GPU::stream {

constexpr int kWaves = 8;
constexpr int kThreads = kWaves * gpu::kWave;
constexpr int kChunk = 32;  // of k: one 16-byte load a lane
constexpr int kTileColumns = 8;
constexpr int kMostRows = 8;
constexpr int kStageLoads = 4;  // 16-byte loads of weights a lane makes in a stage
constexpr int kDeepRing = 6;    // stages, where the staged rows leave room for two blocks
constexpr int kShallowRing = 4;
constexpr std::size_t kHalfOfShared = 113 * 1024;  // of a multiprocessor's, on Hopper

// Bytes between staged rows: 64 beyond the row, so that the lanes of a load hit all banks.
__host__ __device__ constexpr std::int64_t staged_pitch(std::int64_t k) {
  return 2 * k + 64;
}

// kTeam waves share a tile of kTileColumns columns of each part.
template <int kParts, int kTeam, int kRing, typename Rows, typename Epilogue>
class Product {
 public:
  static constexpr int kUnroll = kStageLoads / kParts > 0 ? kStageLoads / kParts : 1;  // chunks
  static constexpr int kTeams = kWaves / kTeam;
  static constexpr int kTileValues = kMostRows * kTileColumns;
  // Values of a tile that one thread finishes.
  static constexpr int kOutputs = (kTileValues + kTeam * gpu::kWave - 1) / (kTeam * gpu::kWave);
  static constexpr int kSumBytes = kTeam == 1 ? 0 : 2 * kWaves * kParts * kTileValues * 4;
  static constexpr int kSquareBytes = Rows::kNormed ? kMostRows * kWaves * 4 : 0;
  static constexpr int kStageBytes = kUnroll * kParts * kThreads * 16;

  static std::size_t shared_bytes(const Rows& in, std::int64_t k) {
    return static_cast<std::size_t>(kRing * kStageBytes + kSumBytes + kSquareBytes +
                                    (Rows::kStaged ? in.rows * staged_pitch(k) : 0));
  }

  __device__ Product(const Weights& weights, const Rows& in, const Epilogue& epilogue)
      : weights_(weights), in_(in), epilogue_(epilogue) {
    const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
    wave_ = static_cast<int>(threadIdx.x) / gpu::kWave;
    g_ = lane / 4;
    t_ = lane % 4;
    chunks_ = static_cast<int>(weights.k) / kChunk;
    stages_ = (chunks_ + kTeam * kUnroll - 1) / (kTeam * kUnroll);
    std::byte* shared = gpu::dynamic_shared();
    ring_ = shared + 16 * threadIdx.x;
    shared += kRing * kStageBytes;
    sums_ = reinterpret_cast<float*>(shared);
    squares_ = reinterpret_cast<float*>(shared + kSumBytes);
    staged_ = shared + kSumBytes + kSquareBytes;
  }

  __device__ void run() {
    gpu::let_next_start();
    const int step = static_cast<int>(gridDim.x) * kTeams;
    const int first_tile = static_cast<int>(blockIdx.x) * kTeams + wave_ / kTeam;
    // The same for all teams of all blocks, so that barriers meet; a tile too far is empty.
    const int total = (weights_.tiles + step - 1) / step * stages_;
    Cursor asked = {first_tile, 0, 0};
    for (int i = 0; i + 1 < kRing; ++i) ask(asked, i < total, step);
    gpu::wait_for_previous();
    typename Epilogue::Early early[kOutputs] = {};
    fetch_early(early, first_tile);
    if constexpr (Rows::kStaged) stage_rows();

    Cursor done = {first_tile, 0, 0};
    float sums[kParts][4] = {};
    int finished = 0;
    for (int index = 0; index < total; ++index) {
      ask(asked, index + kRing - 1 < total, step);
      gpu::wait_copies<kRing - 1>();
      multiply(sums, done);
      if (done.stage + 1 == stages_) {
        finish(sums, early, done.tile, finished++ % 2);
        fetch_early(early, done.tile + step);
        for (int part = 0; part < kParts; ++part)
          for (int i = 0; i < 4; ++i) sums[part][i] = 0.0f;
      }
      advance(done, step);
    }
  }

 private:
  // A stage of this team's work and its place in the ring.
  struct Cursor {
    int tile, stage, slot;
  };
  __device__ void advance(Cursor& at, int step) const {
    at.slot = at.slot + 1 < kRing ? at.slot + 1 : 0;
    if (++at.stage < stages_) return;
    at.stage = 0;
    at.tile += step;
  }

  __device__ std::byte* place(int slot, int u, int part) const {
    return ring_ + slot * kStageBytes + (u * kParts + part) * kThreads * 16;
  }

  __device__ int chunk_of(int stage, int u) const {
    return (stage * kUnroll + u) * kTeam + wave_ % kTeam;
  }

  // Asks for a stage of weights, if there is one, and goes on to the next.
  __device__ void ask(Cursor& at, bool there, int step) const {
    if (there && at.tile < weights_.tiles) {
      const std::int64_t column = std::int64_t{at.tile} * kTileColumns + g_;
      for (int u = 0; u < kUnroll; ++u) {
        const int chunk = chunk_of(at.stage, u);
        if (chunk >= chunks_) break;
        for (int part = 0; part < kParts; ++part)
          gpu::copy_async(place(at.slot, u, part), weights_.part[part] + column * weights_.k +
                                                       std::int64_t{chunk} * kChunk + 8 * t_);
      }
    }
    gpu::end_copies();
    advance(at, step);
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

  // Eight neighbouring values of row g_, zeros beyond the last row.
  __device__ gpu::Bits16 load_row(int chunk) const {
    if (g_ >= in_.rows || chunk >= chunks_) return {};
    const std::int64_t at = std::int64_t{chunk} * kChunk + 8 * t_;
    if constexpr (Rows::kStaged)
      return *reinterpret_cast<const gpu::Bits16*>(staged_ + g_ * staged_pitch(weights_.k) +
                                                   2 * at);
    else
      return *reinterpret_cast<const gpu::Bits16*>(in_.data + g_ * in_.stride + at);
  }

  __device__ void multiply(float (&sums)[kParts][4], const Cursor& at) const {
    if (at.tile >= weights_.tiles) return;
    // All rows first: where they come from global memory, their ways there overlap.
    gpu::Bits16 rows[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) rows[u] = load_row(chunk_of(at.stage, u));
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (chunk_of(at.stage, u) >= chunks_) continue;  // nothing was asked for
#pragma unroll
      for (int part = 0; part < kParts; ++part) {
        const auto w = *reinterpret_cast<const gpu::Bits16*>(place(at.slot, u, part));
        gpu::mma_16x8x16(sums[part], {rows[u].x, 0, rows[u].y, 0}, {w.x, w.y});
        gpu::mma_16x8x16(sums[part], {rows[u].z, 0, rows[u].w, 0}, {w.z, w.w});
      }
    }
  }

  // Value i of this thread: a row and a column; false when there is none. A wave alone keeps what
  // its products left in its registers; a team shares the tile out.
  __device__ bool output(int i, int tile, int& m, int& column) const {
    if constexpr (kTeam == 1) {
      m = g_;
      column = tile * kTileColumns + 2 * t_ + i;
    } else {
      const int at = static_cast<int>(threadIdx.x) % (kTeam * gpu::kWave) + i * kTeam * gpu::kWave;
      m = at / kTileColumns;
      column = tile * kTileColumns + at % kTileColumns;
    }
    return m < in_.rows && tile < weights_.tiles;
  }

  __device__ void fetch_early(typename Epilogue::Early (&early)[kOutputs], int tile) const {
    int m, column;
#pragma unroll
    for (int i = 0; i < kOutputs; ++i)
      if (output(i, tile, m, column)) early[i] = epilogue_.early(m, column);
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

  __device__ void finish(const float (&sums)[kParts][4],
                         const typename Epilogue::Early (&early)[kOutputs], int tile,
                         int buffer) const {
    // The other buffer is free until every thread is past the next barrier.
    float* base = sums_ + (buffer * kWaves + wave_ / kTeam * kTeam) * kParts * kTileValues;
    if constexpr (kTeam > 1) {
      for (int part = 0; part < kParts; ++part) {
        float* to =
            base + (wave_ % kTeam * kParts + part) * kTileValues + g_ * kTileColumns + 2 * t_;
        to[0] = sums[part][0];
        to[1] = sums[part][1];
      }
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kOutputs; ++i) {
      int m, column;
      if (!output(i, tile, m, column)) continue;
      const float scale = scale_of(m);
      float values[kParts];
      for (int part = 0; part < kParts; ++part) {
        float sum = 0;
        if constexpr (kTeam == 1) {
          sum = sums[part][i];
        } else {
          for (int w = 0; w < kTeam; ++w)
            sum +=
                base[(w * kParts + part) * kTileValues + m * kTileColumns + column % kTileColumns];
        }
        values[part] = sum * scale;
      }
      epilogue_(m, column, values, early[i]);
    }
  }

  const Weights& weights_;
  const Rows& in_;
  const Epilogue& epilogue_;
  int wave_, g_, t_;  // lane 4g + t
  int chunks_, stages_;
  std::byte* ring_;  // [slot][u][part][thread] of 16 bytes
  float* sums_;      // [2][wave][part][row][column]
  float* squares_;   // [row][wave]
  std::byte* staged_;
};

template <int kParts, int kTeam, int kRing, typename Rows, typename Epilogue>
__global__ void __launch_bounds__(kThreads, 2)
    stream_product(Weights weights, Rows in, Epilogue epilogue) {
  Product<kParts, kTeam, kRing, Rows, Epilogue>(weights, in, epilogue).run();
}

template <int kParts, int kTeam, int kRing, typename Rows, typename Epilogue>
void launch_ring(const Weights& weights, const Rows& in, const Epilogue& epilogue, Stream& stream) {
  using Kernel = Product<kParts, kTeam, kRing, Rows, Epilogue>;
  const int multiprocessors = gpu::multiprocessors(stream);
  const int blocks_of_teams = (weights.tiles + Kernel::kTeams - 1) / Kernel::kTeams;
  const int rounds = (blocks_of_teams + multiprocessors - 1) / multiprocessors;
  const int blocks = (blocks_of_teams + rounds - 1) / rounds;
  gpu::launch(stream_product<kParts, kTeam, kRing, Rows, Epilogue>,
              {.grid = {static_cast<unsigned>(blocks)},
               .block = {kThreads},
               .shared_bytes = Kernel::shared_bytes(in, weights.k),
               .overlaps = true},
              stream, weights, in, epilogue);
}

template <int kParts, int kTeam, typename Rows, typename Epilogue>
void launch_team(const Weights& weights, const Rows& in, const Epilogue& epilogue, Stream& stream) {
  using Deep = Product<kParts, kTeam, kDeepRing, Rows, Epilogue>;
  if (Deep::shared_bytes(in, weights.k) <= kHalfOfShared)
    launch_ring<kParts, kTeam, kDeepRing>(weights, in, epilogue, stream);
  else
    launch_ring<kParts, kTeam, kShallowRing>(weights, in, epilogue, stream);
}

// The smallest team that leaves the fewest waves idle at the end.
inline int best_team(int tiles, int multiprocessors) {
  int best = 1;
  double best_share = 0;
  for (const int team : {1, 2, 4, 8}) {
    const int waves = multiprocessors * kWaves;
    const int rounds = (tiles * team + waves - 1) / waves;
    const double share = static_cast<double>(tiles) * team / (static_cast<double>(rounds) * waves);
    if (share > best_share + 0.02) {
      best_share = share;
      best = team;
    }
  }
  return best;
}

// `columns` of each part are a multiple of 8, k one of 32; rows are 16-byte aligned.
template <int kParts, typename Rows, typename Epilogue>
void launch(Weights weights, std::int64_t columns, const Rows& in, const Epilogue& epilogue,
            Stream& stream) {
  weights.tiles = static_cast<int>(columns / kTileColumns);
  switch (best_team(weights.tiles, gpu::multiprocessors(stream))) {
    case 1:
      return launch_team<kParts, 1>(weights, in, epilogue, stream);
    case 2:
      return launch_team<kParts, 2>(weights, in, epilogue, stream);
    case 4:
      return launch_team<kParts, 4>(weights, in, epilogue, stream);
    default:
      return launch_team<kParts, 8>(weights, in, epilogue, stream);
  }
}

}  // namespace millrace::MILLRACE_GPU::stream
