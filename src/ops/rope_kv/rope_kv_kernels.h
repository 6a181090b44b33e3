// The lists that kernels_of(RopeKv) is put together from, one a source of kernels.
#pragma once

#include "ops/rope_kv/rope_kv.h"

namespace millrace {

std::span<const KernelSpec<RopeKv>> reference_rope_kv_kernels();

}  // namespace millrace
