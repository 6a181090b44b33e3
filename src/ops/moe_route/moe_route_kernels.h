// The lists that kernels_of(MoeRoute) is put together from, one a source of kernels.
#pragma once

#include "ops/moe_route/moe_route.h"

namespace millrace {

std::span<const KernelSpec<MoeRoute>> reference_moe_route_kernels();
std::span<const KernelSpec<MoeRoute>> cpu_moe_route_kernels();

// The portable GPU kernels, moe_route_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<MoeRoute>> moe_route_kernels();
}
namespace hip {
std::span<const KernelSpec<MoeRoute>> moe_route_kernels();
}
namespace emulated {
std::span<const KernelSpec<MoeRoute>> moe_route_kernels();
}

}  // namespace millrace
