#include "ops/short_conv/short_conv_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/short_conv/short_conv_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const ShortConv::Key& key, const DeviceTraits&) {
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<ShortConv>> short_conv_kernels() {
  static constexpr KernelSpec<ShortConv> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_short_conv}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
