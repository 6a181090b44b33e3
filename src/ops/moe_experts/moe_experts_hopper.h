// Experts on Hopper, for any number of rows. CUDA alone.
#pragma once

#include "device/device.h"
#include "ops/moe_experts/moe_experts_params.h"

namespace millrace::cuda {

void run_moe_experts_hopper(const MoeExpertsParams& params, Stream& stream);

}  // namespace millrace::cuda
