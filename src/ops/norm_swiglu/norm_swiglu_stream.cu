#include "ops/norm_swiglu/norm_swiglu_stream.h"
#include "ops/stream/stream.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

template <typename T>
struct Epilogue {
  T* out;
  std::int64_t stride;

  struct Early {};
  __device__ Early early(int, int) const { return {}; }
  __device__ void operator()(int m, int n, const float (&sums)[2], Early) const {
    out[m * stride + n] = gpu::narrow<T>(gpu::gated(sums[0], sums[1]));
  }
};

}  // namespace

void run_norm_swiglu(const NormSwigluParams& p, Stream& stream) {
  if (p.rows == 0) return;
  stream::Weights weights = {};
  weights.part[0] = p.w1.as<BF16>();
  weights.part[1] = p.w3.as<BF16>();
  weights.k = p.in.columns;
  const stream::NormedRows in = {static_cast<const float*>(p.in.data),
                                 p.in.stride,
                                 nullptr,
                                 p.norm_weight,
                                 p.epsilon,
                                 static_cast<int>(p.rows)};
  stream::launch<2>(weights, p.out.columns, in,
                    Epilogue<BF16>{static_cast<BF16*>(p.out.data), p.out.stride}, stream);
}

}  // namespace millrace::MILLRACE_GPU
