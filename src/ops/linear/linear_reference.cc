// The oracle: plain loops, sums in double.
#include <vector>

#include "device/cpu/cpu_device.h"
#include "ops/linear/linear_kernels.h"
#include "tensor/decode_row.h"

namespace millrace {
namespace {

void run_reference(const LinearParams& params, Stream& stream) {
  const LinearParams& p = params;
  const std::int64_t n = p.weight.shape[0];
  const std::int64_t k = p.weight.shape[1];
  const std::int64_t row_bytes = bytes_of(p.weight.dtype, k);
  pool_of(stream).run_ranges(n, 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> row(static_cast<std::size_t>(k));
    for (std::int64_t j = first; j < last; ++j) {
      decode_row(p.weight.dtype, p.weight.as<std::byte>() + j * row_bytes, k, row.data());
      for (std::int64_t t = 0; t < p.rows; ++t) {
        const float* in = p.in.row<float>(t);
        double sum = p.bias ? p.bias[j] : 0;
        if (p.residual) sum += p.residual.row<float>(t)[j];
        for (std::int64_t i = 0; i < k; ++i)
          sum += double{in[i]} * row[static_cast<std::size_t>(i)];
        p.out.row<float>(t)[j] = static_cast<float>(sum);
      }
    }
  });
}

std::string rejects(const Linear::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<Linear>> reference_linear_kernels() {
  static constexpr KernelSpec<Linear> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
