// One block a row, twice over it: the second reading comes from the cache.
#include "ops/gpu_support.h"
#include "ops/rms_norm/rms_norm_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 256;

// kVector: columns, strides and addresses allow 16-byte accesses.
template <typename T, bool kVector>
__global__ void __launch_bounds__(kThreads) rms_norm(RmsNormParams p) {
  __shared__ float scratch[kThreads / gpu::kWave];
  const std::int64_t t = blockIdx.x;
  gpu::wait_for_previous();
  const auto* in = static_cast<const float*>(p.in.data) +
                   (p.gather ? std::int64_t{p.gather[t]} : t) * p.in.stride;
  auto* out = static_cast<T*>(p.out.data) + t * p.out.stride;
  const auto columns = static_cast<int>(p.in.columns);
  float squares = 0;
  if constexpr (kVector) {
    for (int c = 4 * static_cast<int>(threadIdx.x); c < columns; c += 4 * kThreads) {
      const auto x = *reinterpret_cast<const gpu::Floats4*>(in + c);
      squares += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
    }
  } else {
    for (int c = static_cast<int>(threadIdx.x); c < columns; c += kThreads)
      squares += in[c] * in[c];
  }
  const float total = gpu::block_sum(squares, scratch);
  gpu::let_next_start();
  const float scale = 1.0f / sqrtf(total / static_cast<float>(columns) + p.epsilon);
  if constexpr (kVector) {
    for (int c = 4 * static_cast<int>(threadIdx.x); c < columns; c += 4 * kThreads) {
      const auto x = *reinterpret_cast<const gpu::Floats4*>(in + c);
      const auto w = *reinterpret_cast<const gpu::Floats4*>(p.weight + c);
      gpu::store4(out + c,
                  {x.x * scale * w.x, x.y * scale * w.y, x.z * scale * w.z, x.w * scale * w.w});
    }
  } else {
    for (int c = static_cast<int>(threadIdx.x); c < columns; c += kThreads)
      out[c] = gpu::narrow<T>(in[c] * scale * p.weight[c]);
  }
}

template <typename T>
void run_typed(const RmsNormParams& p, Stream& stream) {
  const gpu::LaunchShape shape = {
      .grid = {static_cast<unsigned>(p.rows)}, .block = {kThreads}, .overlaps = true};
  const bool vector = p.in.columns % 4 == 0 && gpu::rows_are_aligned(p.in) &&
                      gpu::rows_are_aligned(p.out) && gpu::is_aligned(p.weight);
  gpu::launch(vector ? rms_norm<T, true> : rms_norm<T, false>, shape, stream, p);
}

}  // namespace

void run_rms_norm(const RmsNormParams& p, Stream& stream) {
  if (p.rows == 0) return;
  if (p.out.dtype == DType::BF16)
    run_typed<BF16>(p, stream);
  else
    run_typed<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
