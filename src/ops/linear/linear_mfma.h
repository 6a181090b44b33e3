// Large products on AMD's matrix units, without a library.
#pragma once

#include "device/device.h"
#include "ops/linear/linear_params.h"

namespace millrace::MILLRACE_GPU {

// False, with nothing queued, for products that it cannot do.
bool run_linear_mfma(const LinearParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
