#include "ops/norm_linear/norm_linear_stream.h"
#include "ops/stream/stream.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

struct Epilogue {
  MatrixView out;

  struct Early {};
  __device__ Early early(int, int) const { return {}; }
  __device__ void operator()(int m, int n, const float (&sum)[1], Early) const {
    if (out.dtype == DType::BF16)
      static_cast<BF16*>(out.data)[m * out.stride + n] = gpu::narrow<BF16>(sum[0]);
    else
      static_cast<float*>(out.data)[m * out.stride + n] = sum[0];
  }
};

}  // namespace

void run_norm_linear(const NormLinearParams& p, Stream& stream) {
  if (p.rows == 0) return;
  stream::Weights weights = {};
  weights.part[0] = p.weight.as<BF16>();
  weights.k = p.in.columns;
  const stream::NormedRows in = {static_cast<const float*>(p.in.data),
                                 p.in.stride,
                                 p.gather,
                                 p.norm_weight,
                                 p.epsilon,
                                 static_cast<int>(p.rows)};
  stream::launch<1>(weights, p.out.columns, in, Epilogue{p.out}, stream);
}

}  // namespace millrace::MILLRACE_GPU
