// The lists that kernels_of(ShortConv) is put together from, one a source of kernels.
#pragma once

#include "ops/short_conv/short_conv.h"

namespace millrace {

std::span<const KernelSpec<ShortConv>> reference_short_conv_kernels();

}  // namespace millrace
