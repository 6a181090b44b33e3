// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/linear/linear_params.h"

namespace millrace::MILLRACE_GPU {

void run_linear(const LinearParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
