// The launch for a few rows, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/norm_short_conv/norm_short_conv_params.h"

namespace millrace::MILLRACE_GPU {

void run_norm_short_conv(const NormShortConvParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
