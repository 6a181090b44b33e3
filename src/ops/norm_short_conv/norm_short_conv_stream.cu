// The thread that holds B, C and z of one channel of one sequence is the only one to touch that
// channel's ring.
#include "ops/norm_short_conv/norm_short_conv_stream.h"
#include "ops/stream/stream.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

struct Epilogue {
  NormShortConvParams p;

  // The columns before, weighted, with the bias; where the new column goes.
  struct Early {
    float sum, tap;
    float* column;
  };
  __device__ Early early(int m, int channel) const {
    const std::int64_t channels = p.out.columns;
    const SpanView span = p.batch.spans[m];
    float* ring = p.state.columns + span.slot * p.state.ring * channels + channel;
    float sum = p.bias ? p.bias[channel] : 0.0f;
    for (int k = 0; k < p.taps - 1; ++k) {
      const int position = span.position - (p.taps - 1 - k);
      const bool there = position >= span.conv_from && position >= 0;
      const float v = there ? ring[position % p.state.ring * channels] : 0.0f;
      sum = fmaf(p.kernel[k * channels + channel], v, sum);
    }
    return {sum, p.kernel[(p.taps - 1) * channels + channel],
            ring + span.position % p.state.ring * channels};
  }
  __device__ void operator()(int m, int channel, const float (&sums)[3], const Early& early) const {
    const std::int64_t channels = p.out.columns;
    // Rounded as the plain path stores its gates.
    const float b = gpu::widen(gpu::narrow<BF16>(with_bias(sums[0], channel)));
    const float c = gpu::widen(gpu::narrow<BF16>(with_bias(sums[1], channel + channels)));
    const float z = gpu::widen(gpu::narrow<BF16>(with_bias(sums[2], channel + 2 * channels)));
    const float now = b * z;
    *early.column = now;
    static_cast<BF16*>(p.out.data)[m * p.out.stride + channel] =
        gpu::narrow<BF16>(c * fmaf(early.tap, now, early.sum));
  }

 private:
  __device__ float with_bias(float sum, std::int64_t row) const {
    return p.in_bias ? sum + p.in_bias[row] : sum;
  }
};

}  // namespace

void run_norm_short_conv(const NormShortConvParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  const std::int64_t channels = p.out.columns;
  stream::Weights weights = {};
  weights.k = p.in.columns;
  for (int part = 0; part < 3; ++part)
    weights.part[part] = p.in_proj.as<BF16>() + part * channels * weights.k;
  const stream::NormedRows in = {
      static_cast<const float*>(p.in.data), p.in.stride, nullptr, p.norm_weight, p.epsilon,
      static_cast<int>(p.batch.rows)};
  stream::launch<3>(weights, channels, in, Epilogue{p}, stream);
}

}  // namespace millrace::MILLRACE_GPU
