// The lists that kernels_of(RopeKv) is put together from, and what their sources share.
#pragma once

#include "ops/rope_kv/rope_kv.h"

namespace millrace {

namespace baseline {
void rope_kv_row(const RopeKvParams& p, const SpanView& span, std::int64_t i);
}
namespace avx2 {
void rope_kv_row(const RopeKvParams& p, const SpanView& span, std::int64_t i);
}
namespace avx512 {
void rope_kv_row(const RopeKvParams& p, const SpanView& span, std::int64_t i);
}

std::span<const KernelSpec<RopeKv>> reference_rope_kv_kernels();
std::span<const KernelSpec<RopeKv>> cpu_rope_kv_kernels();

// The portable GPU kernels, rope_kv_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<RopeKv>> rope_kv_kernels();
}
namespace hip {
std::span<const KernelSpec<RopeKv>> rope_kv_kernels();
}
namespace emulated {
std::span<const KernelSpec<RopeKv>> rope_kv_kernels();
}

}  // namespace millrace
