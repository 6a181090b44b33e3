#include "ops/silu_mul/silu_mul_kernels.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {

void silu_mul_row(const SiluMulParams& p, std::int64_t t) {
  const float* gate = p.gate.row<float>(t);
  const float* up = p.up.row<float>(t);
  float* out = p.out.row<float>(t);
  const std::int64_t columns = p.out.columns;
  const auto value = [](Floats x, Floats y) { return x / (1.0f + exponential(-x)) * y; };
  std::int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) store(out + c, value(load(gate + c), load(up + c)));
  if (c == columns) return;
  float x[kLanes] = {};
  float y[kLanes] = {};
  const auto left = static_cast<std::size_t>(columns - c) * sizeof(float);
  __builtin_memcpy(x, gate + c, left);
  __builtin_memcpy(y, up + c, left);
  store(x, value(load(x), load(y)));
  __builtin_memcpy(out + c, x, left);
}

}  // namespace millrace::MILLRACE_ISA
