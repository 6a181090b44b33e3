// The oracle, and what CPUs use: they copy a few rows a step.
#include <algorithm>

#include "ops/gather_rows/gather_rows_kernels.h"

namespace millrace {
namespace {

void run_reference(const GatherRowsParams& params, Stream&) {
  const GatherRowsParams& p = params;
  for (std::int64_t i = 0; i < p.count; ++i)
    std::copy_n(p.in.row<float>(p.rows[i]), p.out.columns, p.out.row<float>(i));
}

std::string rejects(const GatherRows::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<GatherRows>> reference_gather_rows_kernels() {
  static constexpr KernelSpec<GatherRows> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
