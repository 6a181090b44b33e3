#include "ops/rms_norm/rms_norm_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/rms_norm/rms_norm_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const RmsNorm::Key& key, const DeviceTraits&) {
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<RmsNorm>> rms_norm_kernels() {
  static constexpr KernelSpec<RmsNorm> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_rms_norm}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
