// The lists that kernels_of(DecodeStep) is put together from, and what else each backend has.
#pragma once

#include "ops/decode_step/decode_step.h"

namespace millrace {
namespace cuda {
std::span<const KernelSpec<DecodeStep>> decode_step_kernels();
void run_decode_bound(const DecodeStepLaunch& launch, Stream& stream);
void run_decode_pack(const DecodePack& pack, Stream& stream);
}  // namespace cuda
namespace emulated {
std::span<const KernelSpec<DecodeStep>> decode_step_kernels();
void run_decode_bound(const DecodeStepLaunch& launch, Stream& stream);
void run_decode_pack(const DecodePack& pack, Stream& stream);
}  // namespace emulated
}  // namespace millrace
