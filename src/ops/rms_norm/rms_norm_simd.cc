#include <cmath>

#include "ops/rms_norm/rms_norm_kernels.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {

void rms_norm_row(const RmsNormParams& p, std::int64_t t) {
  const float* in = p.in.row<float>(p.gather ? p.gather[t] : t);
  float* out = p.out.row<float>(t);
  const std::int64_t columns = p.in.columns;
  const std::int64_t whole = columns / kLanes * kLanes;
  Floats lanes = {};
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    const Floats x = load(in + c);
    lanes = fma(x, x, lanes);
  }
  float total = sum(lanes);
  for (std::int64_t c = whole; c < columns; ++c) total += in[c] * in[c];
  const float scale = 1.0f / std::sqrt(total / static_cast<float>(columns) + p.epsilon);
  for (std::int64_t c = 0; c < whole; c += kLanes)
    store(out + c, load(in + c) * scale * load(p.weight + c));
  for (std::int64_t c = whole; c < columns; ++c) out[c] = in[c] * scale * p.weight[c];
}

}  // namespace millrace::MILLRACE_ISA
