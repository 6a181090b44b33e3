// Prefill attention for Hopper, as nvcc compiled it; spans of one row go the way of
// attention_flash.h.
#pragma once

#include "device/device.h"
#include "ops/attention/attention_params.h"

namespace millrace::cuda {

void run_sm90_attention(const AttentionParams& params, Stream& stream);

}  // namespace millrace::cuda
