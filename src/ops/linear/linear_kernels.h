// The lists that kernels_of(Linear) is put together from, one a source of kernels.
#pragma once

#include "ops/linear/linear.h"

namespace millrace {

std::span<const KernelSpec<Linear>> reference_linear_kernels();
std::span<const KernelSpec<Linear>> cpu_linear_kernels();

}  // namespace millrace
