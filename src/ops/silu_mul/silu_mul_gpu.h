// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/silu_mul/silu_mul_params.h"

namespace millrace::MILLRACE_GPU {

void run_silu_mul(const SiluMulParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
