// The lists that kernels_of(SiluMul) is put together from, one a source of kernels.
#pragma once

#include "ops/silu_mul/silu_mul.h"

namespace millrace {

std::span<const KernelSpec<SiluMul>> reference_silu_mul_kernels();

}  // namespace millrace
