// The lists that kernels_of(DecodeStep) is put together from.
#pragma once

#include "ops/decode_step/decode_step.h"

namespace millrace {
namespace cuda {
std::span<const KernelSpec<DecodeStep>> decode_step_kernels();
void run_decode_pack(const DecodePack& pack, Stream& stream);
}  // namespace cuda
}  // namespace millrace
