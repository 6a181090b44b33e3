// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/bring_inputs/bring_inputs_params.h"

namespace millrace::MILLRACE_GPU {

void run_bring_inputs(const BringInputsParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
