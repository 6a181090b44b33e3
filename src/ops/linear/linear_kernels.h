// The lists that kernels_of(Linear) is put together from, one a source of kernels.
#pragma once

#include "ops/linear/linear.h"

namespace millrace {

std::span<const KernelSpec<Linear>> reference_linear_kernels();
std::span<const KernelSpec<Linear>> cpu_linear_kernels();

// The portable GPU kernels, linear_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<Linear>> linear_kernels();
}
namespace hip {
std::span<const KernelSpec<Linear>> linear_kernels();
}
namespace emulated {
std::span<const KernelSpec<Linear>> linear_kernels();
}

}  // namespace millrace
