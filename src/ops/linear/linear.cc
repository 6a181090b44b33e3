#include "ops/linear/linear.h"

#include "ops/linear/linear_kernels.h"

namespace millrace {

std::string to_string(const Linear::Key& key) {
  return fmt::format("{} weight [{}, {}], {} in", to_string(key.weight), key.n, key.k,
                     to_string(key.activation));
}

std::span<const KernelSpec<Linear>> kernels_of(Linear) {
  static const std::vector<KernelSpec<Linear>> kAll = join_kernels<Linear>(
      {reference_linear_kernels(), cpu_linear_kernels(), cuda::linear_kernels(),
       hip::linear_kernels(), emulated::linear_kernels()});
  return kAll;
}

}  // namespace millrace
