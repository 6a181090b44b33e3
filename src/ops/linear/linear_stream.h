// The product for at most 8 rows of BF16, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/linear/linear_params.h"

namespace millrace::MILLRACE_GPU {

void run_linear_stream(const LinearParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
