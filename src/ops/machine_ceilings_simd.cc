#include "ops/machine_ceilings_kernels.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr int kChains = 10;  // more than latency times units of any processor so far

float read(const float* from, std::size_t count) {
  Floats sums[8] = {};
  for (std::size_t i = 0; i < count; i += 8 * kLanes)
    for (int j = 0; j < 8; ++j) sums[j] += load(from + i + j * kLanes);
  Floats total = {};
  for (const Floats& partial : sums) total += partial;
  return sum(total);
}

float multiply_add(std::int64_t rounds) {
  Floats chains[kChains];
  for (int j = 0; j < kChains; ++j) chains[j] = splat(static_cast<float>(j));
  Floats factor = splat(0.999999f);
  const Floats term = splat(1e-6f);
  for (std::int64_t i = 0; i < rounds; ++i) {
    // Each round is done, none is computed ahead.
#if defined(__x86_64__)
    asm volatile("" : "+v"(factor));
#elif defined(__aarch64__)
    asm volatile("" : "+w"(factor));
#endif
    for (int j = 0; j < kChains; ++j) chains[j] = fma(chains[j], factor, term);
  }
  Floats total = {};
  for (const Floats& chain : chains) total += chain;
  return sum(total);
}

}  // namespace

CeilingKernels ceiling_kernels() {
  return {read, multiply_add, 2LL * kChains * kLanes};
}

}  // namespace millrace::MILLRACE_ISA
