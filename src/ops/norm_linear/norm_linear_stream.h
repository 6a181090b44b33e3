// The launch for a few rows, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/norm_linear/norm_linear_params.h"

namespace millrace::MILLRACE_GPU {

void run_norm_linear(const NormLinearParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
