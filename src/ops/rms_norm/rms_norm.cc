#include "ops/rms_norm/rms_norm.h"

#include "ops/rms_norm/rms_norm_kernels.h"

namespace millrace {

std::string to_string(const RmsNorm::Key& key) {
  return fmt::format("{} columns {}", to_string(key.activation), key.columns);
}

std::span<const KernelSpec<RmsNorm>> kernels_of(RmsNorm) {
  static const std::vector<KernelSpec<RmsNorm>> kAll = join_kernels<RmsNorm>(
      {reference_rms_norm_kernels(), cpu_rms_norm_kernels(), cuda::rms_norm_kernels(),
       hip::rms_norm_kernels(), emulated::rms_norm_kernels()});
  return kAll;
}

}  // namespace millrace
