#include "ops/norm_swiglu/norm_swiglu.h"

#include "ops/norm_swiglu/norm_swiglu_kernels.h"

namespace millrace {

std::string to_string(const NormSwiglu::Key& key) {
  return fmt::format("{} weight [{}, {}], {} out, up to {} rows", to_string(key.weight), key.n,
                     key.k, to_string(key.out), key.rows);
}

std::span<const KernelSpec<NormSwiglu>> kernels_of(NormSwiglu) {
  static const std::vector<KernelSpec<NormSwiglu>> kAll =
      join_kernels<NormSwiglu>({reference_norm_swiglu_kernels(), cuda::norm_swiglu_kernels(),
                                cuda::norm_swiglu_hopper_kernels(), hip::norm_swiglu_kernels(),
                                emulated::norm_swiglu_kernels()});
  return kAll;
}

}  // namespace millrace
