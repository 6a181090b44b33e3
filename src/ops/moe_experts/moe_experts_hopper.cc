#include "ops/moe_experts/moe_experts_hopper.h"

#include "ops/hopper/hopper_plan.h"
#include "ops/moe_experts/moe_experts_kernels.h"

namespace millrace::cuda {
namespace {

std::string rejects(const MoeExperts::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::BF16) return "reads BF16 rows";
  if (key.gate_up != key.down) return "reads BF16 weights";
  // k of one product is n of the other.
  if (key.hidden % 8 != 0 || key.width % 8 != 0) return "needs hidden and width in eights";
  return hopper::product_problem(key.down, key.hidden, key.width, traits);
}

}  // namespace

std::span<const KernelSpec<MoeExperts>> moe_experts_hopper_kernels() {
  static constexpr KernelSpec<MoeExperts> kSpecs[] = {
      {"hopper", Backend::Cuda, Priority::Specialized, rejects, run_moe_experts_hopper}};
  return kSpecs;
}

}  // namespace millrace::cuda
