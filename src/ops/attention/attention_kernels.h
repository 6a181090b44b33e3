// The lists that kernels_of(Attention) is put together from, one a source of kernels.
#pragma once

#include "ops/attention/attention.h"

namespace millrace {

std::span<const KernelSpec<Attention>> reference_attention_kernels();

}  // namespace millrace
