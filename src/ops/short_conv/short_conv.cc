#include "ops/short_conv/short_conv.h"

#include "ops/short_conv/short_conv_kernels.h"

namespace millrace {

std::string to_string(const ShortConv::Key& key) {
  return fmt::format("{} channels {}, {} taps", to_string(key.activation), key.channels, key.taps);
}

std::span<const KernelSpec<ShortConv>> kernels_of(ShortConv) {
  static const std::vector<KernelSpec<ShortConv>> kAll = join_kernels<ShortConv>(
      {reference_short_conv_kernels(), cpu_short_conv_kernels(), cuda::short_conv_kernels(),
       hip::short_conv_kernels(), emulated::short_conv_kernels()});
  return kAll;
}

}  // namespace millrace
