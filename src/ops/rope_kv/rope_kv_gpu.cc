#include "ops/rope_kv/rope_kv_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/rope_kv/rope_kv_kernels.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const RopeKv::Key& key, const DeviceTraits&) {
  if (key.head_dim > 256) return "heads of at most 256 dimensions";
  if (!is_cache_type(key.kv)) return "a cache of F32, BF16 or FP8";
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<RopeKv>> rope_kv_kernels() {
  static constexpr KernelSpec<RopeKv> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_rope_kv}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
