// The lists that kernels_of(PackedLinear) is put together from, one a source of kernels.
#pragma once

#include "ops/packed_linear/packed_linear.h"

namespace millrace {

std::span<const KernelSpec<PackedLinear>> reference_packed_linear_kernels();
std::span<const KernelSpec<PackedLinear>> cpu_packed_linear_kernels();

}  // namespace millrace
