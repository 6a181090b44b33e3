// The lists that kernels_of(ShortConv) is put together from, and what their sources share.
#pragma once

#include "ops/short_conv/short_conv.h"

namespace millrace {

namespace baseline {
void short_conv_channels(const ShortConvParams& p, std::int64_t first, std::int64_t last);
}
namespace avx2 {
void short_conv_channels(const ShortConvParams& p, std::int64_t first, std::int64_t last);
}
namespace avx512 {
void short_conv_channels(const ShortConvParams& p, std::int64_t first, std::int64_t last);
}

std::span<const KernelSpec<ShortConv>> reference_short_conv_kernels();
std::span<const KernelSpec<ShortConv>> cpu_short_conv_kernels();

// The portable GPU kernels, short_conv_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<ShortConv>> short_conv_kernels();
}
namespace hip {
std::span<const KernelSpec<ShortConv>> short_conv_kernels();
}
namespace emulated {
std::span<const KernelSpec<ShortConv>> short_conv_kernels();
}

}  // namespace millrace
