#include "ops/gpu_support.h"
#include "ops/silu_mul/silu_mul_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 256;

__device__ float gated(float gate, float up) {
  return gate / (1.0f + expf(-gate)) * up;
}

// A block's threads run along a row; rows are the grid's second dimension.
template <typename T, bool kVector>
__global__ void __launch_bounds__(kThreads) silu_mul(SiluMulParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t t = blockIdx.y;
  const auto* gate = static_cast<const T*>(p.gate.data) + t * p.gate.stride;
  const auto* up = static_cast<const T*>(p.up.data) + t * p.up.stride;
  auto* out = static_cast<T*>(p.out.data) + t * p.out.stride;
  const std::int64_t at = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if constexpr (kVector) {
    const std::int64_t c = 4 * at;
    if (c >= p.out.columns) return;
    const gpu::Floats4 g = gpu::load4(gate + c);
    const gpu::Floats4 u = gpu::load4(up + c);
    gpu::store4(out + c, {gated(g.x, u.x), gated(g.y, u.y), gated(g.z, u.z), gated(g.w, u.w)});
  } else {
    if (at < p.out.columns)
      out[at] = gpu::narrow<T>(gated(gpu::widen(gate[at]), gpu::widen(up[at])));
  }
}

template <typename T>
void run_typed(const SiluMulParams& p, Stream& stream) {
  const bool vector = p.out.columns % 4 == 0 && gpu::rows_are_aligned(p.gate) &&
                      gpu::rows_are_aligned(p.up) && gpu::rows_are_aligned(p.out);
  const std::int64_t threads = vector ? p.out.columns / 4 : p.out.columns;
  const gpu::LaunchShape shape = {
      .grid = {static_cast<unsigned>((threads + kThreads - 1) / kThreads),
               static_cast<unsigned>(p.rows)},
      .block = {kThreads},
      .overlaps = true};
  gpu::launch(vector ? silu_mul<T, true> : silu_mul<T, false>, shape, stream, p);
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
