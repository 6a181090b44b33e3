// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/gather_rows/gather_rows_params.h"

namespace millrace::MILLRACE_GPU {

void run_gather_rows(const GatherRowsParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
