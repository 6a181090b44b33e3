// The launch on AMD's matrix units, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/moe_experts/moe_experts_params.h"

namespace millrace::MILLRACE_GPU {

void run_moe_experts_mfma(const MoeExpertsParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
