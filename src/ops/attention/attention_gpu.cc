#include "ops/attention/attention_gpu.h"

#include "ops/attention/attention_kernels.h"
#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const Attention::Key& key, const DeviceTraits&) {
  if (key.head_dim > 256) return "heads of at most 256 dimensions";
  if (key.group > 8) return "at most 8 query heads a KV head";
  if (key.kv != DType::F32 && key.kv != DType::BF16) return "a cache of F32 or BF16";
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<Attention>> attention_kernels() {
  static constexpr KernelSpec<Attention> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_attention}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
