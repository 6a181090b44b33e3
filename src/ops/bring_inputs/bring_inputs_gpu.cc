#include "ops/bring_inputs/bring_inputs_gpu.h"

#include "ops/bring_inputs/bring_inputs_kernels.h"
#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const BringInputs::Key& key, const DeviceTraits&) {
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<BringInputs>> bring_inputs_kernels() {
  static constexpr KernelSpec<BringInputs> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_bring_inputs}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
