// Large products by the vendor's library, where there is one.
#pragma once

#include "device/device.h"
#include "ops/linear/linear_params.h"

namespace millrace::MILLRACE_GPU {

// False, with nothing queued, where the library is missing or has no way for this product.
bool run_linear_library(const LinearParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
