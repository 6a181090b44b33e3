#include "ops/linear/linear_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/linear/linear_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const Linear::Key& key, const DeviceTraits&) {
  if (key.weight != DType::F32 && key.weight != DType::BF16)
    return "GPU kernels read F32 or BF16 weights";
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<Linear>> linear_kernels() {
  static constexpr KernelSpec<Linear> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_linear}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
