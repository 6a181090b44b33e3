// The oracle: plain loops over the activations as they are, sums in double.
#include <vector>

#include "device/cpu/cpu_device.h"
#include "ops/packed_linear/packed_linear_kernels.h"
#include "ops/packed_linear/packing.h"

namespace millrace {
namespace {

void run_reference(const PackedLinearParams& p, Stream& stream) {
  pool_of(stream).run_ranges(p.weight.n, 1, [&](std::int64_t first, std::int64_t last) {
    std::vector<float> row(static_cast<std::size_t>(p.weight.k));
    for (std::int64_t j = first; j < last; ++j) {
      decode_packed_row(p.weight, j, row.data());
      for (std::int64_t t = 0; t < p.rows; ++t) {
        const float* in = p.in.row<float>(t);
        double sum = p.bias ? p.bias[j] : 0;
        if (p.residual) sum += p.residual.row<float>(t)[j];
        for (std::size_t i = 0; i < row.size(); ++i) sum += double{in[i]} * row[i];
        p.out.row<float>(t)[j] = static_cast<float>(sum);
      }
    }
  });
}

std::string rejects(const PackedLinear::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<PackedLinear>> reference_packed_linear_kernels() {
  static constexpr KernelSpec<PackedLinear> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
