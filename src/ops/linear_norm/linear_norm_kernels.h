// The lists that kernels_of(LinearNorm) is put together from.
#pragma once

#include "ops/linear_norm/linear_norm.h"

namespace millrace {

std::span<const KernelSpec<LinearNorm>> reference_linear_norm_kernels();
namespace cuda {
std::span<const KernelSpec<LinearNorm>> linear_norm_hopper_kernels();
}

}  // namespace millrace
