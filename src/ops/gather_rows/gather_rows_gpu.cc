#include "ops/gather_rows/gather_rows_gpu.h"

#include "ops/gather_rows/gather_rows_kernels.h"
#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const GatherRows::Key& key, const DeviceTraits&) {
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<GatherRows>> gather_rows_kernels() {
  static constexpr KernelSpec<GatherRows> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_gather_rows}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
