#include "ops/packed_linear/packed_linear.h"

#include "ops/packed_linear/packed_linear_kernels.h"

namespace millrace {

std::string to_string(const PackedLinear::Key& key) {
  return fmt::format("packed {} weight [{}, {}], {} in", to_string(key.weight), key.n, key.k,
                     to_string(key.activation));
}

std::span<const KernelSpec<PackedLinear>> kernels_of(PackedLinear) {
  static const std::vector<KernelSpec<PackedLinear>> kAll =
      join_kernels<PackedLinear>({reference_packed_linear_kernels(), cpu_packed_linear_kernels()});
  return kAll;
}

}  // namespace millrace
