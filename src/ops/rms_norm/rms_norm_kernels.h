// The lists that kernels_of(RmsNorm) is put together from, one a source of kernels.
#pragma once

#include "ops/rms_norm/rms_norm.h"

namespace millrace {

std::span<const KernelSpec<RmsNorm>> reference_rms_norm_kernels();

}  // namespace millrace
