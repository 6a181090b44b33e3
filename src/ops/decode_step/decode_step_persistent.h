// The launches of decode_step_persistent.cu and decode_bound.cu, which are compiled apart from what
// chooses them.
#pragma once

#include "device/device.h"
#include "ops/decode_step/decode_step_params.h"

namespace millrace::MILLRACE_GPU {

void run_decode_step(const DecodeStepLaunch& launch, Stream& stream);
// The same reading and the same barriers, without computing: see decode_bound.cu.
void run_decode_bound(const DecodeStepLaunch& launch, Stream& stream);
void run_decode_pack(const DecodePack& pack, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
