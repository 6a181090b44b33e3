// The oracle: plain loops, sums in double.
#include <cmath>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "ops/moe_experts/moe_experts_kernels.h"
#include "tensor/decode_row.h"

namespace millrace {
namespace {

// out[n] = sum_k in[k] * matrix[n][k]
std::vector<double> multiply(const TensorView& matrix, const std::vector<double>& in) {
  const std::int64_t n = matrix.shape[0];
  const std::int64_t k = matrix.shape[1];
  std::vector<double> out(static_cast<std::size_t>(n));
  std::vector<float> row(static_cast<std::size_t>(k));
  for (std::int64_t j = 0; j < n; ++j) {
    decode_row(matrix.dtype, matrix.as<std::byte>() + j * bytes_of(matrix.dtype, k), k, row.data());
    double sum = 0;
    for (std::size_t i = 0; i < row.size(); ++i) sum += in[i] * double{row[i]};
    out[static_cast<std::size_t>(j)] = sum;
  }
  return out;
}

void run_reference(const MoeExpertsParams& params, Stream& stream) {
  const MoeExpertsParams& p = params;
  pool_of(stream).run(p.rows, [&](std::int64_t t) {
    const float* in_row = p.in.row<float>(t);
    const std::vector<double> in(in_row, in_row + p.in.columns);
    std::vector<double> sum(in.size(), 0.0);
    for (int j = 0; j < p.top_k; ++j) {
      const ExpertView& expert = p.experts[p.chosen[t * p.top_k + j]];
      std::vector<double> hidden = multiply(expert.w1, in);
      const std::vector<double> up = multiply(expert.w3, in);
      for (std::size_t i = 0; i < hidden.size(); ++i)
        hidden[i] = hidden[i] / (1.0 + std::exp(-hidden[i])) * up[i];
      const std::vector<double> down = multiply(expert.w2, hidden);
      for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] += double{p.weights[t * p.top_k + j]} * down[i];
    }
    for (std::size_t i = 0; i < sum.size(); ++i)
      p.out.row<float>(t)[i] += static_cast<float>(sum[i]);
  });
}

std::string rejects(const MoeExperts::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<MoeExperts>> reference_moe_experts_kernels() {
  static constexpr KernelSpec<MoeExperts> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
