#include "ops/attention/attention_sm90.h"

#include "ops/attention/attention_kernels.h"

namespace millrace::cuda {
namespace {

std::string rejects(const Attention::Key& key, const DeviceTraits& traits) {
  if (traits.arch != 90) return "is for NVIDIA GPUs of sm_90";
  if (key.head_dim != 64) return "heads of 64 dimensions";
  if (key.group > 8) return "at most 8 query heads a KV head";
  if (key.activation != DType::BF16 || key.kv != DType::BF16) return "BF16 rows and cache";
  return {};
}

}  // namespace

std::span<const KernelSpec<Attention>> sm90_attention_kernels() {
  static constexpr KernelSpec<Attention> kSpecs[] = {
      {"sm90", Backend::Cuda, Priority::Specialized, rejects, run_sm90_attention}};
  return kSpecs;
}

}  // namespace millrace::cuda
