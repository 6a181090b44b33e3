#include "ops/hopper/hopper_plan.h"
#include "ops/hopper/split_product.h"
#include "ops/linear_norm/linear_norm_kernels.h"

namespace millrace::cuda {
namespace {

std::string rejects(const LinearNorm::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::BF16) return "reads BF16 rows";
  return hopper::split_problem(key.weight, key.n, key.k, key.rows, traits);
}

void run(const LinearNormParams& p, Stream& stream) {
  if (p.rows == 0) return;
  hopper::run_split_product({.weight = p.weight.as<BF16>(),
                             .n = p.out.columns,
                             .k = p.in.columns,
                             .in = static_cast<const BF16*>(p.in.data),
                             .in_stride = p.in.stride,
                             .rows = p.rows,
                             .out = p.out,
                             .adds = true,
                             .next_norm = p.norm_weight,
                             .next = p.scratch},
                            stream);
}

}  // namespace

std::span<const KernelSpec<LinearNorm>> linear_norm_hopper_kernels() {
  static constexpr KernelSpec<LinearNorm> kSpecs[] = {
      {"hopper", Backend::Cuda, Priority::Specialized, rejects, run}};
  return kSpecs;
}

}  // namespace millrace::cuda
