// The oracle: plain loops, sums in double.
#include "ops/norm_linear/norm_linear_kernels.h"
#include "ops/stream/normed_product.h"

namespace millrace {
namespace {

void run_reference(const NormLinearParams& params, Stream&) {
  const NormLinearParams& p = params;
  const std::int64_t k = p.in.columns;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* in = p.in.row<float>(p.gather ? p.gather[t] : t);
    const NormedRow row = normed_row(in, p.norm_weight, k, double{p.epsilon});
    for (std::int64_t n = 0; n < p.out.columns; ++n)
      p.out.row<float>(t)[n] = static_cast<float>(multiply(row, p.weight.as<BF16>() + n * k).value);
  }
}

std::string rejects(const NormLinear::Key& key, const DeviceTraits&) {
  return key.weight != DType::BF16 ? "the reference reads BF16 weights" : "";
}

}  // namespace

std::span<const KernelSpec<NormLinear>> reference_norm_linear_kernels() {
  static constexpr KernelSpec<NormLinear> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
