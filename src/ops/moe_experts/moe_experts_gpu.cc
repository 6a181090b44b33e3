#include "ops/moe_experts/moe_experts_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/moe_experts/moe_experts_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const MoeExperts::Key& key, const DeviceTraits&) {
  if (key.gate_up != key.down || (key.down != DType::F32 && key.down != DType::BF16))
    return "GPU kernels read F32 or BF16 weights";
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<MoeExperts>> moe_experts_kernels() {
  static constexpr KernelSpec<MoeExperts> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_moe_experts}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
