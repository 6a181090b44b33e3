// The oracle: plain loops, sums in double.
#include "ops/norm_swiglu/norm_swiglu_kernels.h"
#include "ops/stream/normed_product.h"

namespace millrace {
namespace {

void run_reference(const NormSwigluParams& params, Stream&) {
  const NormSwigluParams& p = params;
  const std::int64_t k = p.in.columns;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const NormedRow row = normed_row(p.in.row<float>(t), p.norm_weight, k, double{p.epsilon});
    for (std::int64_t n = 0; n < p.out.columns; ++n) {
      const double gate = multiply(row, p.w1.as<BF16>() + n * k).value;
      const double up = multiply(row, p.w3.as<BF16>() + n * k).value;
      p.out.row<float>(t)[n] = static_cast<float>(silu(gate) * up);
    }
  }
}

std::string rejects(const NormSwiglu::Key& key, const DeviceTraits&) {
  return key.weight != DType::BF16 ? "the reference reads BF16 weights" : "";
}

}  // namespace

std::span<const KernelSpec<NormSwiglu>> reference_norm_swiglu_kernels() {
  static constexpr KernelSpec<NormSwiglu> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
