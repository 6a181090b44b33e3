#include "ops/sample/sample_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/sample/sample_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const Sample::Key& key, const DeviceTraits&) {
  if (key.vocab > kSampleMostTokens)
    return fmt::format("at most {} tokens to choose from", kSampleMostTokens);
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<Sample>> sample_kernels() {
  static constexpr KernelSpec<Sample> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_sample}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
