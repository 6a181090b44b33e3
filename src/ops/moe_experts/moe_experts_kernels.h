// The lists that kernels_of(MoeExperts) is put together from, one a source of kernels.
#pragma once

#include "ops/moe_experts/moe_experts.h"

namespace millrace {

std::span<const KernelSpec<MoeExperts>> reference_moe_experts_kernels();
std::span<const KernelSpec<MoeExperts>> cpu_moe_experts_kernels();

// The portable GPU kernels, moe_experts_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<MoeExperts>> moe_experts_kernels();
std::span<const KernelSpec<MoeExperts>> moe_experts_hopper_kernels();
}  // namespace cuda
namespace hip {
std::span<const KernelSpec<MoeExperts>> moe_experts_kernels();
std::span<const KernelSpec<MoeExperts>> moe_experts_mfma_kernels();
}  // namespace hip
namespace emulated {
std::span<const KernelSpec<MoeExperts>> moe_experts_kernels();
}

}  // namespace millrace
