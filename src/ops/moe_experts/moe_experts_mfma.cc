#include "ops/moe_experts/moe_experts_mfma.h"

#include "ops/gpu_rules.h"
#include "ops/moe_experts/moe_experts_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const MoeExperts::Key& key, const DeviceTraits&) {
  if (key.activation != DType::BF16) return "reads BF16 rows";
  if (key.gate_up != DType::BF16 || key.down != DType::BF16) return "reads BF16 weights";
  // k of one product is n of the other.
  if (key.hidden % 8 != 0 || key.width % 8 != 0) return "needs hidden and width in eights";
  return {};
}

}  // namespace

std::span<const KernelSpec<MoeExperts>> moe_experts_mfma_kernels() {
  static constexpr KernelSpec<MoeExperts> kSpecs[] = {
      {"mfma", kGpuBackend, Priority::Specialized, rejects, run_moe_experts_mfma}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
