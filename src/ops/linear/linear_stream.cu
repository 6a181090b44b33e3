// A few rows: bound by the reading of the weights; see ops/stream/stream_product.cuh.
#include "ops/linear/linear_stream.h"
#include "ops/stream/stream.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

struct Epilogue {
  LinearParams p;

  struct Early {
    float residual, bias;
  };
  __device__ Early early(int m, int n) const {
    Early early = {};
    if (p.residual.data)
      early.residual = static_cast<const float*>(p.residual.data)[m * p.residual.stride + n];
    if (p.bias) early.bias = p.bias[n];
    return early;
  }
  __device__ void operator()(int m, int n, const float (&sums)[1], const Early& early) const {
    const float sum = sums[0] + early.bias + early.residual;
    if (p.out.dtype == DType::BF16)
      static_cast<BF16*>(p.out.data)[m * p.out.stride + n] = gpu::narrow<BF16>(sum);
    else
      static_cast<float*>(p.out.data)[m * p.out.stride + n] = sum;
  }
};

}  // namespace

void run_linear_stream(const LinearParams& p, Stream& stream) {
  if (p.rows == 0) return;
  stream::Weights weights = {};
  weights.part[0] = p.weight.as<BF16>();
  weights.k = p.in.columns;
  const stream::PlainRows in = {static_cast<const BF16*>(p.in.data), p.in.stride,
                                static_cast<int>(p.rows)};
  if (p.rows * stream::staged_pitch(weights.k) <= stream::CopiedRows::kMostBytes)
    stream::launch<1>(weights, p.out.columns, stream::CopiedRows{in}, Epilogue{p}, stream);
  else
    stream::launch<1>(weights, p.out.columns, in, Epilogue{p}, stream);
}

}  // namespace millrace::MILLRACE_GPU
