#include "ops/moe_experts/moe_experts.h"

#include "ops/moe_experts/moe_experts_kernels.h"

namespace millrace {

std::string to_string(const MoeExperts::Key& key) {
  return fmt::format("{}/{} weights, hidden {}, width {}, {} in", to_string(key.gate_up),
                     to_string(key.down), key.hidden, key.width, to_string(key.activation));
}

std::span<const KernelSpec<MoeExperts>> kernels_of(MoeExperts) {
  static const std::vector<KernelSpec<MoeExperts>> kAll =
      join_kernels<MoeExperts>({reference_moe_experts_kernels()});
  return kAll;
}

}  // namespace millrace
