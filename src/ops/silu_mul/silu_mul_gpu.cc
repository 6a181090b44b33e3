#include "ops/silu_mul/silu_mul_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/silu_mul/silu_mul_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const SiluMul::Key& key, const DeviceTraits&) {
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<SiluMul>> silu_mul_kernels() {
  static constexpr KernelSpec<SiluMul> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_silu_mul}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
