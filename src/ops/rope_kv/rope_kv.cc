#include "ops/rope_kv/rope_kv.h"

#include "ops/rope_kv/rope_kv_kernels.h"

namespace millrace {

std::string to_string(const RopeKv::Key& key) {
  return fmt::format("{} to {} cache, head_dim {}", to_string(key.activation), to_string(key.kv),
                     key.head_dim);
}

std::span<const KernelSpec<RopeKv>> kernels_of(RopeKv) {
  static const std::vector<KernelSpec<RopeKv>> kAll = join_kernels<RopeKv>(
      {reference_rope_kv_kernels(), cpu_rope_kv_kernels(), cuda::rope_kv_kernels(),
       hip::rope_kv_kernels(), emulated::rope_kv_kernels()});
  return kAll;
}

}  // namespace millrace
