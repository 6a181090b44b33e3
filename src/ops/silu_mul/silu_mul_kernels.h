// The lists that kernels_of(SiluMul) is put together from, and what their sources share.
#pragma once

#include "ops/silu_mul/silu_mul.h"

namespace millrace {

namespace baseline {
void silu_mul_row(const SiluMulParams& p, std::int64_t t);
}
namespace avx2 {
void silu_mul_row(const SiluMulParams& p, std::int64_t t);
}
namespace avx512 {
void silu_mul_row(const SiluMulParams& p, std::int64_t t);
}

std::span<const KernelSpec<SiluMul>> reference_silu_mul_kernels();
std::span<const KernelSpec<SiluMul>> cpu_silu_mul_kernels();

// The portable GPU kernels, silu_mul_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<SiluMul>> silu_mul_kernels();
}
namespace hip {
std::span<const KernelSpec<SiluMul>> silu_mul_kernels();
}
namespace emulated {
std::span<const KernelSpec<SiluMul>> silu_mul_kernels();
}

}  // namespace millrace
