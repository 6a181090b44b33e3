#include "ops/attention/attention_gpu.h"

#include "ops/attention/attention_flash.h"
#include "ops/attention/attention_kernels.h"
#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const Attention::Key& key, const DeviceTraits&) {
  if (key.head_dim > 256) return "heads of at most 256 dimensions";
  if (key.group > 8) return "at most 8 query heads a KV head";
  if (!is_cache_type(key.kv)) return "a cache of F32, BF16 or FP8";
  return gpu_activation_problem(key.activation);
}

std::string flash_rejects(const Attention::Key& key, const DeviceTraits& traits) {
  if (key.head_dim != 64 && key.head_dim != 128) return "heads of 64 or 128 dimensions";
  if (key.group > 8) return "at most 8 query heads a KV head";
  if (key.activation != DType::BF16) return "BF16 rows";
  if (key.kv != DType::BF16 && key.kv != DType::F8_E4M3) return "another cache";
  if (traits.backend == Backend::Cuda && traits.arch < 80)
    return "needs an NVIDIA GPU of sm_80 or later";
  return {};
}

}  // namespace

std::span<const KernelSpec<Attention>> attention_kernels() {
  static constexpr KernelSpec<Attention> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_attention},
      {"flash", kGpuBackend, Priority::Performant, flash_rejects, run_flash_attention}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
