#include "ops/attention/attention.h"

#include "ops/attention/attention_kernels.h"

namespace millrace {

std::string to_string(const Attention::Key& key) {
  return fmt::format("{} over {} cache, head_dim {}, group {}", to_string(key.activation),
                     to_string(key.kv), key.head_dim, key.group);
}

std::span<const KernelSpec<Attention>> kernels_of(Attention) {
  static const std::vector<KernelSpec<Attention>> kAll = join_kernels<Attention>(
      {reference_attention_kernels(), cpu_attention_kernels(), cuda::attention_kernels(),
       cuda::sm90_attention_kernels(), hip::attention_kernels(), emulated::attention_kernels()});
  return kAll;
}

}  // namespace millrace
