#include "ops/moe_experts/moe_experts.h"

#include "ops/moe_experts/moe_experts_kernels.h"

namespace millrace {

std::string to_string(const MoeExperts::Key& key) {
  return fmt::format("{}/{} weights, hidden {}, width {}, {} in", to_string(key.gate_up),
                     to_string(key.down), key.hidden, key.width, to_string(key.activation));
}

std::span<const KernelSpec<MoeExperts>> kernels_of(MoeExperts) {
  static const std::vector<KernelSpec<MoeExperts>> kAll = join_kernels<MoeExperts>(
      {reference_moe_experts_kernels(), cpu_moe_experts_kernels(), cuda::moe_experts_kernels(),
       cuda::moe_experts_hopper_kernels(), hip::moe_experts_kernels(),
       hip::moe_experts_mfma_kernels(), emulated::moe_experts_kernels()});
  return kAll;
}

std::size_t moe_experts_workspace_bytes(std::int64_t max_rows, int top_k, int experts,
                                        std::int64_t hidden, std::int64_t width) {
  const std::int64_t pairs = max_rows * top_k;
  const std::int64_t floats = pairs * (2 * width + hidden + hidden / 2);
  const std::int64_t ints = 3 * pairs + 4 * (std::int64_t{experts} + 1);
  return static_cast<std::size_t>(bytes_of(DType::F32, floats) + bytes_of(DType::I32, ints)) + 256;
}

}  // namespace millrace
