#include "ops/sample/sample.h"

#include "ops/sample/sample_kernels.h"

namespace millrace {

std::string to_string(const Sample::Key& key) {
  return fmt::format("{} tokens", key.vocab);
}

std::span<const KernelSpec<Sample>> kernels_of(Sample) {
  static const std::vector<KernelSpec<Sample>> kAll = join_kernels<Sample>(
      {reference_sample_kernels(), cpu_sample_kernels(), cuda::sample_kernels(),
       hip::sample_kernels(), emulated::sample_kernels()});
  return kAll;
}

}  // namespace millrace
