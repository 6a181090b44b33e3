// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/short_conv/short_conv_params.h"

namespace millrace::MILLRACE_GPU {

void run_short_conv(const ShortConvParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
