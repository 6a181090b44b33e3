// The oracle: plain loops, sums in double.
#include "ops/linear_norm/linear_norm_kernels.h"

namespace millrace {
namespace {

void run_reference(const LinearNormParams& p, Stream&) {
  const std::int64_t n = p.out.columns;
  const std::int64_t k = p.in.columns;
  for (std::int64_t t = 0; t < p.rows; ++t) {
    float* out = p.out.row<float>(t);
    float* squares = p.scratch.squares + t * norm_squares(n);
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = double{out[j]};
      for (std::int64_t i = 0; i < k; ++i)
        sum += double{p.in.row<float>(t)[i]} * to_float(p.weight.as<BF16>()[j * k + i]);
      out[j] = static_cast<float>(sum);
      p.scratch.rows[t * n + j] = to_bf16(out[j] * p.norm_weight[j]);
      if (j % kSquaresColumns == 0) squares[j / kSquaresColumns] = 0;
      squares[j / kSquaresColumns] += out[j] * out[j];
    }
  }
}

std::string rejects(const LinearNorm::Key& key, const DeviceTraits&) {
  if (key.weight != DType::BF16) return "the reference reads BF16 weights";
  return key.activation != DType::F32 ? "the reference reads F32 rows" : "";
}

}  // namespace

std::span<const KernelSpec<LinearNorm>> reference_linear_norm_kernels() {
  static constexpr KernelSpec<LinearNorm> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
