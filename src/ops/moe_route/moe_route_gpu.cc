#include "ops/moe_route/moe_route_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/moe_route/moe_route_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const MoeRoute::Key& key, const DeviceTraits&) {
  if (key.experts > 256 || key.top_k > 32) return "at most 256 experts, of which 32 are chosen";
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<MoeRoute>> moe_route_kernels() {
  static constexpr KernelSpec<MoeRoute> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_moe_route}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
