// The oracle: plain loops, sums in double.
#include <cmath>

#include "ops/rms_norm/rms_norm_kernels.h"

namespace millrace {
namespace {

void run_reference(const RmsNormParams& params, Stream&) {
  const RmsNormParams& p = params;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* in = p.in.row<float>(p.gather ? p.gather[t] : t);
    float* out = p.out.row<float>(t);
    double sum = 0;
    for (std::int64_t c = 0; c < p.in.columns; ++c) sum += double{in[c]} * in[c];
    const double scale =
        1.0 / std::sqrt(sum / static_cast<double>(p.in.columns) + double{p.epsilon});
    for (std::int64_t c = 0; c < p.in.columns; ++c)
      out[c] = static_cast<float>(in[c] * scale * p.weight[c]);
  }
}

std::string rejects(const RmsNorm::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<RmsNorm>> reference_rms_norm_kernels() {
  static constexpr KernelSpec<RmsNorm> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
