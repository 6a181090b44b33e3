// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/attention/attention_params.h"

namespace millrace::MILLRACE_GPU {

void run_attention(const AttentionParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
