// The lists that kernels_of(NormSwiglu) is put together from.
#pragma once

#include "ops/norm_swiglu/norm_swiglu.h"

namespace millrace {

std::span<const KernelSpec<NormSwiglu>> reference_norm_swiglu_kernels();
namespace cuda {
std::span<const KernelSpec<NormSwiglu>> norm_swiglu_kernels();
std::span<const KernelSpec<NormSwiglu>> norm_swiglu_hopper_kernels();
}  // namespace cuda
namespace hip {
std::span<const KernelSpec<NormSwiglu>> norm_swiglu_kernels();
}
namespace emulated {
std::span<const KernelSpec<NormSwiglu>> norm_swiglu_kernels();
}

}  // namespace millrace
