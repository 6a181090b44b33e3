// The launch of the tensor core kernels, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/attention/attention_params.h"

namespace millrace::MILLRACE_GPU {

void run_flash_attention(const AttentionParams& params, Stream& stream);
// The spans of one row alone.
void run_flash_decode(const AttentionParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
