#include "base/check.h"
#include "ops/hopper/hopper_plan.h"
#include "ops/hopper/norm_rows.h"
#include "ops/hopper/split_product.h"
#include "ops/norm_linear/norm_linear_kernels.h"

namespace millrace::cuda {
namespace {

std::string rejects(const NormLinear::Key& key, const DeviceTraits& traits) {
  return hopper::split_problem(key.weight, key.n, key.k, key.rows, traits);
}

void run(const NormLinearParams& p, Stream& stream) {
  if (p.rows == 0) return;
  check(p.gather == nullptr, "rows of a batch are not gathered");
  const std::int64_t k = p.in.columns;
  if (!p.begun) hopper::run_norm_rows({p.in, p.norm_weight, p.scratch}, p.rows, stream);
  hopper::run_split_product({.weight = p.weight.as<BF16>(),
                             .n = p.out.columns,
                             .k = k,
                             .in = p.scratch.rows,
                             .in_stride = k,
                             .rows = p.rows,
                             .out = p.out,
                             .scale = {p.scratch.squares, static_cast<int>(k), p.epsilon}},
                            stream);
}

}  // namespace

std::span<const KernelSpec<NormLinear>> norm_linear_hopper_kernels() {
  static constexpr KernelSpec<NormLinear> kSpecs[] = {
      {"hopper", Backend::Cuda, Priority::Specialized, rejects, run}};
  return kSpecs;
}

}  // namespace millrace::cuda
