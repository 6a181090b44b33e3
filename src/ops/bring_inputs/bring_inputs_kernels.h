// The lists that kernels_of(BringInputs) is put together from, one a source of kernels.
#pragma once

#include "ops/bring_inputs/bring_inputs.h"

namespace millrace {

std::span<const KernelSpec<BringInputs>> reference_bring_inputs_kernels();

// The portable GPU kernels, bring_inputs_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<BringInputs>> bring_inputs_kernels();
}
namespace hip {
std::span<const KernelSpec<BringInputs>> bring_inputs_kernels();
}
namespace emulated {
std::span<const KernelSpec<BringInputs>> bring_inputs_kernels();
}

}  // namespace millrace
