#include "ops/linear_norm/linear_norm.h"

#include <fmt/format.h>

#include "ops/linear_norm/linear_norm_kernels.h"

namespace millrace {

std::string to_string(const LinearNorm::Key& key) {
  return fmt::format("{} weight [{}, {}], {} in, up to {} rows", to_string(key.weight), key.n,
                     key.k, to_string(key.activation), key.rows);
}

std::span<const KernelSpec<LinearNorm>> kernels_of(LinearNorm) {
  static const std::vector<KernelSpec<LinearNorm>> kAll = join_kernels<LinearNorm>(
      {reference_linear_norm_kernels(), cuda::linear_norm_hopper_kernels()});
  return kAll;
}

}  // namespace millrace
