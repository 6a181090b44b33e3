// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/rms_norm/rms_norm_params.h"

namespace millrace::MILLRACE_GPU {

void run_rms_norm(const RmsNormParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
