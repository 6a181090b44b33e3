// The lists that kernels_of(RmsNorm) is put together from, and what their sources share.
#pragma once

#include "ops/rms_norm/rms_norm.h"

namespace millrace {

namespace baseline {
void rms_norm_row(const RmsNormParams& p, std::int64_t t);
}
namespace avx2 {
void rms_norm_row(const RmsNormParams& p, std::int64_t t);
}
namespace avx512 {
void rms_norm_row(const RmsNormParams& p, std::int64_t t);
}

std::span<const KernelSpec<RmsNorm>> reference_rms_norm_kernels();
std::span<const KernelSpec<RmsNorm>> cpu_rms_norm_kernels();

// The portable GPU kernels, rms_norm_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<RmsNorm>> rms_norm_kernels();
}
namespace hip {
std::span<const KernelSpec<RmsNorm>> rms_norm_kernels();
}
namespace emulated {
std::span<const KernelSpec<RmsNorm>> rms_norm_kernels();
}

}  // namespace millrace
