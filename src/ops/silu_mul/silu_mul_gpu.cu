#include "ops/gpu_lanes.h"
#include "ops/gpu_support.h"
#include "ops/silu_mul/silu_mul_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 256;

// A block's threads run along a row, kWidth neighbours each; rows are the grid's second dimension.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads) silu_mul(SiluMulParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t t = blockIdx.y;
  const std::int64_t c = kWidth * (std::int64_t{blockIdx.x} * kThreads + threadIdx.x);
  if (c >= p.out.columns) return;
  const auto gate =
      gpu::load_lanes<kWidth>(static_cast<const T*>(p.gate.data) + t * p.gate.stride + c);
  const auto up = gpu::load_lanes<kWidth>(static_cast<const T*>(p.up.data) + t * p.up.stride + c);
  gpu::Lanes<kWidth> out;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) out.at[i] = gpu::gated(gate.at[i], up.at[i]);
  gpu::store_lanes(static_cast<T*>(p.out.data) + t * p.out.stride + c, out);
}

template <typename T, int kWidth>
void run_shaped(const SiluMulParams& p, Stream& stream) {
  constexpr std::int64_t kColumns = std::int64_t{kThreads} * kWidth;
  gpu::launch(silu_mul<T, kWidth>,
              {.grid = {static_cast<unsigned>((p.out.columns + kColumns - 1) / kColumns),
                        static_cast<unsigned>(p.rows)},
               .block = {kThreads},
               .overlaps = true},
              stream, p);
}

template <typename T>
void run_typed(const SiluMulParams& p, Stream& stream) {
  constexpr int kWidth = 16 / sizeof(T);
  const bool vector = p.out.columns % kWidth == 0 && gpu::rows_are_aligned(p.gate) &&
                      gpu::rows_are_aligned(p.up) && gpu::rows_are_aligned(p.out);
  if (vector)
    run_shaped<T, kWidth>(p, stream);
  else
    run_shaped<T, 1>(p, stream);
}

}  // namespace

void run_silu_mul(const SiluMulParams& p, Stream& stream) {
  if (p.rows == 0) return;
  if (p.out.dtype == DType::BF16)
    run_typed<BF16>(p, stream);
  else
    run_typed<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
