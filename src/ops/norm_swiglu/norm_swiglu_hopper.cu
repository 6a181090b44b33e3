// One warpgroup makes the gates of 64 columns, its neighbour what they let through.
#include "ops/hopper/hopper_launch.cuh"
#include "ops/hopper/norm_rows.h"
#include "ops/norm_swiglu/norm_swiglu_hopper.h"

namespace millrace::cuda {
namespace {

struct Epilogue {
  static constexpr int kParts = 2;
  MatrixView out;

  struct Early {};
  __device__ Early early(int, int) const { return {}; }
  __device__ void operator()(int m, int n, const gpu::Floats4 (&sums)[2], Early) const {
    const gpu::Floats4& gate = sums[0];
    const gpu::Floats4& up = sums[1];
    const gpu::Floats4 v = {gpu::gated(gate.x, up.x), gpu::gated(gate.y, up.y),
                            gpu::gated(gate.z, up.z), gpu::gated(gate.w, up.w)};
    if (out.dtype == DType::BF16)
      gpu::store4(static_cast<BF16*>(out.data) + m * out.stride + n, v);
    else
      gpu::store4(static_cast<float*>(out.data) + m * out.stride + n, v);
  }
};

}  // namespace

void run_norm_swiglu_hopper(const NormSwigluParams& p, Stream& stream) {
  if (p.rows == 0) return;
  const std::int64_t k = p.in.columns;
  const std::int64_t n = p.out.columns;
  if (!p.begun) hopper::run_norm_rows({p.in, p.norm_weight, p.scratch}, p.rows, stream);
  const hopper::Factors factors = {.weights = {p.w1.as<BF16>(), p.w3.as<BF16>()},
                                   .k = k,
                                   .in = p.scratch.rows,
                                   .in_stride = k,
                                   .rows = p.rows,
                                   .columns = n,
                                   .scale = {p.scratch.squares, static_cast<int>(k), p.epsilon}};
  hopper::launch(hopper::plan_product(n, k, p.rows, 2, gpu::multiprocessors(stream)), factors,
                 Epilogue{p.out}, stream);
}

}  // namespace millrace::cuda
