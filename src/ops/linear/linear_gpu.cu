// The fallback and oracle for any shape: a wave computes one output column for up to eight rows, so
// that each weight is read once for them. Lanes stride over k; the sum is the same sequence of
// operations whatever the number of rows.
#include "ops/gpu_support.h"
#include "ops/linear/linear_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kWaves = 4;
constexpr int kThreads = kWaves * gpu::kWave;
constexpr int kRows = 8;

template <typename T>
__device__ void add_residual(T* out, const LinearParams& p, std::int64_t row, std::int64_t n,
                             float sum) {
  if (p.bias) sum += p.bias[n];
  if (p.residual.data)
    sum += static_cast<const float*>(p.residual.data)[row * p.residual.stride + n];
  out[row * p.out.stride + n] = gpu::narrow<T>(sum);
}

template <typename W, typename In, typename Out, bool kVector>
__global__ void __launch_bounds__(kThreads) linear(LinearParams p) {
  constexpr int kStep = kVector ? 4 : 1;
  const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
  const std::int64_t n = std::int64_t{blockIdx.x} * kWaves + threadIdx.x / gpu::kWave;
  const std::int64_t first = std::int64_t{blockIdx.y} * kRows;
  const std::int64_t k = p.in.columns;
  gpu::wait_for_previous();
  gpu::let_next_start();
  if (n >= p.out.columns) return;
  const int rows = static_cast<int>(p.rows - first < kRows ? p.rows - first : kRows);
  const W* weight = static_cast<const W*>(p.weight.data) + n * k;
  const In* in = static_cast<const In*>(p.in.data) + first * p.in.stride;
  float sums[kRows] = {};
  for (std::int64_t c = kStep * lane; c < k; c += kStep * gpu::kWave) {
    if constexpr (kVector) {
      const gpu::Floats4 w = gpu::load4(weight + c);
      for (int r = 0; r < kRows; ++r) {
        if (r >= rows) break;
        const gpu::Floats4 x = gpu::load4(in + r * p.in.stride + c);
        sums[r] = fmaf(w.x, x.x, sums[r]);
        sums[r] = fmaf(w.y, x.y, sums[r]);
        sums[r] = fmaf(w.z, x.z, sums[r]);
        sums[r] = fmaf(w.w, x.w, sums[r]);
      }
    } else {
      const float w = gpu::widen(weight[c]);
      for (int r = 0; r < kRows; ++r) {
        if (r >= rows) break;
        sums[r] = fmaf(w, gpu::widen(in[r * p.in.stride + c]), sums[r]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    if (r >= rows) break;
    const float sum = gpu::wave_sum(sums[r]);
    if (lane == 0) add_residual(static_cast<Out*>(p.out.data), p, first + r, n, sum);
  }
}

template <typename W, typename In, typename Out>
void run_typed(const LinearParams& p, Stream& stream) {
  const bool vector =
      p.in.columns % 8 == 0 && gpu::rows_are_aligned(p.in) && gpu::is_aligned(p.weight.data);
  gpu::launch(vector ? linear<W, In, Out, true> : linear<W, In, Out, false>,
              {.grid = {static_cast<unsigned>((p.out.columns + kWaves - 1) / kWaves),
                        static_cast<unsigned>((p.rows + kRows - 1) / kRows)},
               .block = {kThreads},
               .overlaps = true},
              stream, p);
}

template <typename W, typename In>
void run_from(const LinearParams& p, Stream& stream) {
  if (p.out.dtype == DType::BF16)
    run_typed<W, In, BF16>(p, stream);
  else
    run_typed<W, In, float>(p, stream);
}

}  // namespace

void run_linear(const LinearParams& p, Stream& stream) {
  if (p.rows == 0) return;
  const bool narrow_in = p.in.dtype == DType::BF16;
  if (p.weight.dtype == DType::BF16)
    narrow_in ? run_from<BF16, BF16>(p, stream) : run_from<BF16, float>(p, stream);
  else
    narrow_in ? run_from<float, BF16>(p, stream) : run_from<float, float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
