// The lists that kernels_of(NormLinear) is put together from.
#pragma once

#include "ops/norm_linear/norm_linear.h"

namespace millrace {

std::span<const KernelSpec<NormLinear>> reference_norm_linear_kernels();
namespace cuda {
std::span<const KernelSpec<NormLinear>> norm_linear_kernels();
std::span<const KernelSpec<NormLinear>> norm_linear_hopper_kernels();
}  // namespace cuda
namespace hip {
std::span<const KernelSpec<NormLinear>> norm_linear_kernels();
}
namespace emulated {
std::span<const KernelSpec<NormLinear>> norm_linear_kernels();
}

}  // namespace millrace
