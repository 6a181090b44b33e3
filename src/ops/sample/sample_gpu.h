// The launch of the portable GPU kernels, as the backend that MILLRACE_GPU names compiled them.
#pragma once

#include "device/device.h"
#include "ops/sample/sample_params.h"

namespace millrace::MILLRACE_GPU {

void run_sample(const SampleParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
