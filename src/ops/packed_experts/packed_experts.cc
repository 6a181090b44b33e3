#include "ops/packed_experts/packed_experts.h"

#include "ops/packed_experts/packed_experts_kernels.h"

namespace millrace {

std::span<const KernelSpec<PackedExperts>> kernels_of(PackedExperts) {
  static const std::vector<KernelSpec<PackedExperts>> kAll = join_kernels<PackedExperts>(
      {reference_packed_experts_kernels(), cpu_packed_experts_kernels()});
  return kAll;
}

}  // namespace millrace
