// The launch for a few rows, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/norm_swiglu/norm_swiglu_params.h"

namespace millrace::MILLRACE_GPU {

void run_norm_swiglu(const NormSwigluParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
