// norm_swiglu for 9 to 64 rows on Hopper. CUDA alone.
#pragma once

#include "device/device.h"
#include "ops/norm_swiglu/norm_swiglu_params.h"

namespace millrace::cuda {

void run_norm_swiglu_hopper(const NormSwigluParams& params, Stream& stream);

}  // namespace millrace::cuda
