// The lists that kernels_of(NormShortConv) is put together from.
#pragma once

#include "ops/norm_short_conv/norm_short_conv.h"

namespace millrace {

std::span<const KernelSpec<NormShortConv>> reference_norm_short_conv_kernels();
namespace cuda {
std::span<const KernelSpec<NormShortConv>> norm_short_conv_kernels();
}
namespace hip {
std::span<const KernelSpec<NormShortConv>> norm_short_conv_kernels();
}
namespace emulated {
std::span<const KernelSpec<NormShortConv>> norm_short_conv_kernels();
}

}  // namespace millrace
