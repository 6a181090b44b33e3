#include "ops/gpu_support.h"
#include "ops/hopper/norm_rows.h"

namespace millrace::cuda::hopper {
namespace {

constexpr int kNormThreads = 256;

// A block a row, a thread eight neighbouring columns.
__global__ void __launch_bounds__(kNormThreads) norm_rows(NormRows p) {
  gpu::let_next_start();
  const auto k = static_cast<int>(p.in.columns);
  const std::int64_t t = blockIdx.x;
  gpu::wait_for_previous();
  const float* in = static_cast<const float*>(p.in.data) + t * p.in.stride;
  BF16* out = p.out.rows + t * k;
  // Whole waves go on together: lanes beyond the row add zeros.
  for (int first = 0; first < k; first += 8 * kNormThreads) {
    const int c = first + 8 * static_cast<int>(threadIdx.x);
    float squares = 0;
    if (c < k) {
      const gpu::Floats4 a = gpu::load4(in + c);
      const gpu::Floats4 b = gpu::load4(in + c + 4);
      const gpu::Floats4 v = gpu::load4(p.weight + c);
      const gpu::Floats4 w = gpu::load4(p.weight + c + 4);
      squares = a.x * a.x + a.y * a.y + a.z * a.z + a.w * a.w;
      squares += b.x * b.x + b.y * b.y + b.z * b.z + b.w * b.w;
      *reinterpret_cast<gpu::Bits16*>(out + c) = {
          gpu::pack_bf16(a.x * v.x, a.y * v.y), gpu::pack_bf16(a.z * v.z, a.w * v.w),
          gpu::pack_bf16(b.x * w.x, b.y * w.y), gpu::pack_bf16(b.z * w.z, b.w * w.w)};
    }
    for (int mask = 4; mask > 0; mask /= 2) squares += gpu::shuffle_xor(squares, mask);
    if (c < k && c % kSquaresColumns == 0)
      p.out.squares[t * norm_squares(k) + c / kSquaresColumns] = squares;
  }
}

}  // namespace

void run_norm_rows(const NormRows& p, std::int64_t rows, Stream& stream) {
  gpu::launch(norm_rows,
              {.grid = {static_cast<unsigned>(rows)}, .block = {kNormThreads}, .overlaps = true},
              stream, p);
}

}  // namespace millrace::cuda::hopper
