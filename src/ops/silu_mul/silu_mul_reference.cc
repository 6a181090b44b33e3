// The oracle: plain loops, sums in double.
#include <cmath>

#include "ops/silu_mul/silu_mul_kernels.h"

namespace millrace {
namespace {

void run_reference(const SiluMulParams& params, Stream&) {
  const SiluMulParams& p = params;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* gate = p.gate.row<float>(t);
    const float* up = p.up.row<float>(t);
    float* out = p.out.row<float>(t);
    for (std::int64_t c = 0; c < p.out.columns; ++c) {
      const double x = gate[c];
      out[c] = static_cast<float>(x / (1.0 + std::exp(-x)) * up[c]);
    }
  }
}

std::string rejects(const SiluMul::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<SiluMul>> reference_silu_mul_kernels() {
  static constexpr KernelSpec<SiluMul> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
