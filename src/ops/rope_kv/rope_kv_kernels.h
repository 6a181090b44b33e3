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

}  // namespace millrace
