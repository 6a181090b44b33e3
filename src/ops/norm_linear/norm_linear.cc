#include "ops/norm_linear/norm_linear.h"

#include "ops/norm_linear/norm_linear_kernels.h"

namespace millrace {

std::string to_string(const NormLinear::Key& key) {
  return fmt::format("{} weight [{}, {}], {} out, up to {} rows", to_string(key.weight), key.n,
                     key.k, to_string(key.out), key.rows);
}

std::span<const KernelSpec<NormLinear>> kernels_of(NormLinear) {
  static const std::vector<KernelSpec<NormLinear>> kAll =
      join_kernels<NormLinear>({reference_norm_linear_kernels(), cuda::norm_linear_kernels(),
                                cuda::norm_linear_hopper_kernels(), hip::norm_linear_kernels(),
                                emulated::norm_linear_kernels()});
  return kAll;
}

}  // namespace millrace
