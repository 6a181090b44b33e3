#include "ops/norm_short_conv/norm_short_conv.h"

#include "ops/norm_short_conv/norm_short_conv_kernels.h"

namespace millrace {

std::string to_string(const NormShortConv::Key& key) {
  return fmt::format("{} weight [3*{}, {}], {} taps, {} out", to_string(key.weight), key.n, key.k,
                     key.taps, to_string(key.out));
}

std::span<const KernelSpec<NormShortConv>> kernels_of(NormShortConv) {
  static const std::vector<KernelSpec<NormShortConv>> kAll = join_kernels<NormShortConv>(
      {reference_norm_short_conv_kernels(), cuda::norm_short_conv_kernels(),
       hip::norm_short_conv_kernels(), emulated::norm_short_conv_kernels()});
  return kAll;
}

}  // namespace millrace
