#include "ops/gather_rows/gather_rows_gpu.h"
#include "ops/gpu_lanes.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 256;

// A block copies a row, each thread kWidth neighbours at a time.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads) gather_rows(GatherRowsParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t i = blockIdx.x;
  const T* from = static_cast<const T*>(p.in.data) + p.rows[i] * p.in.stride;
  T* to = static_cast<T*>(p.out.data) + i * p.out.stride;
  for (std::int64_t c = kWidth * threadIdx.x; c < p.out.columns; c += kWidth * kThreads)
    *reinterpret_cast<gpu::Packed<kWidth, T>*>(to + c) = gpu::load_packed<kWidth>(from + c);
}

template <typename T>
void run_typed(const GatherRowsParams& p, Stream& stream) {
  constexpr int kWidth = 16 / sizeof(T);
  const bool vector =
      p.out.columns % kWidth == 0 && gpu::rows_are_aligned(p.in) && gpu::rows_are_aligned(p.out);
  gpu::launch(vector ? gather_rows<T, kWidth> : gather_rows<T, 1>,
              {.grid = {static_cast<unsigned>(p.count)}, .block = {kThreads}, .overlaps = true},
              stream, p);
}

}  // namespace

void run_gather_rows(const GatherRowsParams& p, Stream& stream) {
  if (p.count == 0) return;
  if (p.out.dtype == DType::BF16)
    run_typed<BF16>(p, stream);
  else
    run_typed<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
