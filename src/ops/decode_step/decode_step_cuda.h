// The launches, as nvcc compiled them.
#pragma once

#include "device/device.h"
#include "ops/decode_step/decode_step_params.h"

namespace millrace::cuda {

void run_decode_step(const DecodeStepLaunch& launch, Stream& stream);
void run_decode_pack(const DecodePack& pack, Stream& stream);

}  // namespace millrace::cuda
