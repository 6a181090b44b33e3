// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/rope_kv/rope_kv_params.h"

namespace millrace::MILLRACE_GPU {

void run_rope_kv(const RopeKvParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
