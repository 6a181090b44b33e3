// The lists that kernels_of(GatherRows) is put together from, one a source of kernels.
#pragma once

#include "ops/gather_rows/gather_rows.h"

namespace millrace {

std::span<const KernelSpec<GatherRows>> reference_gather_rows_kernels();

// The portable GPU kernels, gather_rows_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<GatherRows>> gather_rows_kernels();
}
namespace hip {
std::span<const KernelSpec<GatherRows>> gather_rows_kernels();
}
namespace emulated {
std::span<const KernelSpec<GatherRows>> gather_rows_kernels();
}

}  // namespace millrace
