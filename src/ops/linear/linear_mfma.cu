// Large products on AMD's matrix units, for machines without hipBLASLt and for what it cannot do.
//
// A block of four waves computes a tile of out: kTile input rows times kTile output columns. Both
// operands pass through shared memory, kStep of k at a time, while the next step's are on their way
// to registers. The weights are MFMA's rows, so that a lane ends with four neighbouring columns.
//
// Blocks go round the eight dies of a GPU (XCDs), whose L2 caches are separate: tiles are dealt so
// that one die's blocks share weights.
#include "device/gpu/gpu_mfma.h"
#include "ops/gpu_support.h"
#include "ops/linear/linear_mfma.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kWaves = 4;
constexpr int kThreads = kWaves * gpu::kWave;
constexpr int kDies = 8;

template <int kTile, int kStep>
class GemmTile {
 public:
  static constexpr int kSide = kTile / 2;                   // of a wave's share: two by two waves
  static constexpr int kBlocks = kSide / 16;                // MFMA products along it
  static constexpr int kUnits = kStep / 8;                  // 16-byte units of a row's step
  static constexpr int kPitch = 2 * kStep;                  // bytes of a row
  static constexpr int kLoads = kTile * kUnits / kThreads;  // of a thread, an operand and step
  static constexpr int kSharedBytes = 2 * kTile * kPitch;
  static_assert(kLoads * kThreads == kTile * kUnits);

  __device__ GemmTile(const LinearParams& p, std::int64_t first_row, std::int64_t first_column)
      : p_(p), first_row_(first_row), first_column_(first_column) {
    const int thread = static_cast<int>(threadIdx.x);
    const int lane = thread % gpu::kWave;
    g_ = lane / 16;
    r_ = lane % 16;
    wave_row_ = thread / gpu::kWave % 2 * kSide;
    wave_column_ = thread / gpu::kWave / 2 * kSide;
    weight_shared_ = gpu::dynamic_shared();
    in_shared_ = weight_shared_ + kTile * kPitch;
  }

  __device__ void run() {
    const std::int64_t k = p_.in.columns;
    float sums[kBlocks][kBlocks][4] = {};
    Operands next;
    load(next, 0);
    for (std::int64_t at = 0; at < k; at += kStep) {
      store(next);
      __syncthreads();
      load(next, at + kStep);
      multiply(sums);
      __syncthreads();
    }
    for (int column = 0; column < kBlocks; ++column)
      for (int row = 0; row < kBlocks; ++row) finish(sums[column][row], row, column);
  }

 private:
  struct Operands {
    gpu::Bits16 weight[kLoads], in[kLoads];
  };

  // Zeros beyond the matrices' edges.
  __device__ void load(Operands& to, std::int64_t at) const {
    const auto* weight = static_cast<const BF16*>(p_.weight.data);
    const auto* in = static_cast<const BF16*>(p_.in.data);
    const std::int64_t k = p_.in.columns;
    for (int i = 0; i < kLoads; ++i) {
      const int unit = static_cast<int>(threadIdx.x) + i * kThreads;
      const std::int64_t column = first_column_ + unit / kUnits;
      const std::int64_t row = first_row_ + unit / kUnits;
      const std::int64_t c = at + 8 * (unit % kUnits);
      to.weight[i] = c < k && column < p_.out.columns
                         ? *reinterpret_cast<const gpu::Bits16*>(weight + column * k + c)
                         : gpu::Bits16{};
      to.in[i] = c < k && row < p_.rows
                     ? *reinterpret_cast<const gpu::Bits16*>(in + row * p_.in.stride + c)
                     : gpu::Bits16{};
    }
  }

  __device__ void store(const Operands& from) const {
    for (int i = 0; i < kLoads; ++i) {
      const int unit = static_cast<int>(threadIdx.x) + i * kThreads;
      const int at = place(unit / kUnits, unit % kUnits);
      *reinterpret_cast<gpu::Bits16*>(weight_shared_ + at) = from.weight[i];
      *reinterpret_cast<gpu::Bits16*>(in_shared_ + at) = from.in[i];
    }
  }

  // Where a row's unit lies: rows are rotated, so that the lanes of a load hit all banks.
  static __device__ int place(int row, int unit) { return row * kPitch + 16 * (unit ^ (row % 8)); }

  __device__ gpu::Bits16 fragment(const std::byte* shared, int first, int chunk) const {
    return *reinterpret_cast<const gpu::Bits16*>(shared + place(first + r_, 4 * chunk + g_));
  }

  __device__ void multiply(float (&sums)[kBlocks][kBlocks][4]) const {
    for (int chunk = 0; chunk < kStep / 32; ++chunk) {
      gpu::Bits16 in[kBlocks];
      for (int row = 0; row < kBlocks; ++row)
        in[row] = fragment(in_shared_, wave_row_ + 16 * row, chunk);
      for (int column = 0; column < kBlocks; ++column) {
        const gpu::Bits16 weight = fragment(weight_shared_, wave_column_ + 16 * column, chunk);
        for (int row = 0; row < kBlocks; ++row)
          gpu::mfma_16x16x32(sums[column][row], weight, in[row]);
      }
    }
  }

  // Four neighbouring columns of one row.
  __device__ void finish(const float (&sums)[4], int row_block, int column_block) const {
    const std::int64_t row = first_row_ + wave_row_ + 16 * row_block + r_;
    const std::int64_t column = first_column_ + wave_column_ + 16 * column_block + 4 * g_;
    if (row >= p_.rows || column >= p_.out.columns) return;
    gpu::Floats4 value = {sums[0], sums[1], sums[2], sums[3]};
    const auto add = [&](const float* from) {
      const gpu::Floats4 more = gpu::load4(from);
      value = {value.x + more.x, value.y + more.y, value.z + more.z, value.w + more.w};
    };
    if (p_.bias) add(p_.bias + column);
    if (p_.residual.data)
      add(static_cast<const float*>(p_.residual.data) + row * p_.residual.stride + column);
    const std::int64_t at = row * p_.out.stride + column;
    if (p_.out.dtype == DType::BF16)
      gpu::store4(static_cast<BF16*>(p_.out.data) + at, value);
    else
      gpu::store4(static_cast<float*>(p_.out.data) + at, value);
  }

  const LinearParams& p_;
  std::int64_t first_row_, first_column_;
  int g_, r_;  // lane 16g + r
  int wave_row_, wave_column_;
  std::byte* weight_shared_;
  std::byte* in_shared_;
};

// Grid: a multiple of kDies blocks; tile i of the order in which rows change fastest.
template <int kTile, int kStep>
__global__ void __launch_bounds__(kThreads, 2)
    linear_mfma(LinearParams p, std::int64_t row_tiles, std::int64_t tiles) {
  const std::int64_t share = gridDim.x / kDies;
  const std::int64_t tile = blockIdx.x % kDies * share + blockIdx.x / kDies;
  if (tile >= tiles) return;
  GemmTile<kTile, kStep>(p, tile % row_tiles * kTile, tile / row_tiles * kTile).run();
}

std::int64_t tiles_of(const LinearParams& p, int side) {
  return ((p.rows + side - 1) / side) * ((p.out.columns + side - 1) / side);
}

template <int kTile, int kStep>
void run_tiles(const LinearParams& p, Stream& stream) {
  const std::int64_t tiles = tiles_of(p, kTile);
  gpu::launch(linear_mfma<kTile, kStep>,
              {.grid = {static_cast<unsigned>((tiles + kDies - 1) / kDies * kDies)},
               .block = {kThreads},
               .shared_bytes = GemmTile<kTile, kStep>::kSharedBytes},
              stream, p, (p.rows + kTile - 1) / kTile, tiles);
}

// 16-byte accesses to four floats.
bool fits(const MatrixView& view) {
  return view.data == nullptr || gpu::rows_are_aligned(view);
}

}  // namespace

bool run_linear_mfma(const LinearParams& p, Stream& stream) {
  if (p.weight.dtype != DType::BF16 || p.in.dtype != DType::BF16) return false;
  if (p.in.columns % 8 != 0 || p.out.columns % 4 != 0) return false;
  if (!gpu::is_aligned(p.weight.data) || !fits(p.in) || !fits(p.residual) || !fits(p.out) ||
      !gpu::is_aligned(p.bias))
    return false;
  // The largest tile that still gives every compute unit one.
  if (tiles_of(p, 128) >= gpu::multiprocessors(stream))
    run_tiles<128, 64>(p, stream);
  else if (tiles_of(p, 64) >= gpu::multiprocessors(stream))
    run_tiles<64, 64>(p, stream);
  else
    run_tiles<32, 128>(p, stream);
  return true;
}

}  // namespace millrace::MILLRACE_GPU
