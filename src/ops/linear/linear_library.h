// Products of more rows than are streamed: by the vendor's library where there is one, or by what
// is ahead of it on one GPU.
#pragma once

#include "device/device.h"
#include "ops/linear/linear_params.h"

namespace millrace::MILLRACE_GPU {

// False, with nothing queued, where there is no library and nothing else, or no way for this
// product.
bool run_linear_library(const LinearParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
