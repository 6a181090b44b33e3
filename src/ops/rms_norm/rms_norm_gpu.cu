// One block a row, twice over it. What registers hold of it is read once, the rest of long rows
// comes from the cache the second time.
#include "ops/gpu_support.h"
#include "ops/rms_norm/rms_norm_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 256;
constexpr int kHeld = 2;  // 16-byte pieces of a row that a thread keeps

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
  gpu::Floats4 held[kHeld] = {};
  const int first = 4 * static_cast<int>(threadIdx.x);
  constexpr int kStep = 4 * kThreads;
  if constexpr (kVector) {
    const auto add = [&squares](const gpu::Floats4& x) {
      squares += x.x * x.x + x.y * x.y + x.z * x.z + x.w * x.w;
    };
#pragma unroll
    for (int i = 0; i < kHeld; ++i)
      if (first + i * kStep < columns) held[i] = gpu::load4(in + first + i * kStep);
#pragma unroll
    for (int i = 0; i < kHeld; ++i) add(held[i]);
    for (int c = first + kHeld * kStep; c < columns; c += kStep) add(gpu::load4(in + c));
  } else {
    for (int c = static_cast<int>(threadIdx.x); c < columns; c += kThreads)
      squares += in[c] * in[c];
  }
  gpu::let_next_start();
  const float total = gpu::block_sum(squares, scratch);
  const float scale = 1.0f / sqrtf(total / static_cast<float>(columns) + p.epsilon);
  if constexpr (kVector) {
    const auto write = [&](int c, const gpu::Floats4& x) {
      const gpu::Floats4 w = gpu::load4(p.weight + c);
      gpu::store4(out + c,
                  {x.x * scale * w.x, x.y * scale * w.y, x.z * scale * w.z, x.w * scale * w.w});
    };
#pragma unroll
    for (int i = 0; i < kHeld; ++i)
      if (first + i * kStep < columns) write(first + i * kStep, held[i]);
    for (int c = first + kHeld * kStep; c < columns; c += kStep) write(c, gpu::load4(in + c));
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
