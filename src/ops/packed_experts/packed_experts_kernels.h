// The lists that kernels_of(PackedExperts) is put together from, one a source of kernels.
#pragma once

#include "ops/packed_experts/packed_experts.h"

namespace millrace {

std::span<const KernelSpec<PackedExperts>> reference_packed_experts_kernels();
std::span<const KernelSpec<PackedExperts>> cpu_packed_experts_kernels();

}  // namespace millrace
