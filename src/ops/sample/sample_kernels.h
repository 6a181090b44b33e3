// The lists that kernels_of(Sample) is put together from, one a source of kernels.
#pragma once

#include "ops/sample/sample.h"

namespace millrace {

std::span<const KernelSpec<Sample>> reference_sample_kernels();
std::span<const KernelSpec<Sample>> cpu_sample_kernels();

// The portable GPU kernels, sample_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<Sample>> sample_kernels();
}
namespace hip {
std::span<const KernelSpec<Sample>> sample_kernels();
}
namespace emulated {
std::span<const KernelSpec<Sample>> sample_kernels();
}

}  // namespace millrace
