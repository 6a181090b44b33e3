// The launch of the portable GPU kernel, as the backend that MILLRACE_GPU names compiled it.
#pragma once

#include "device/device.h"
#include "ops/embedding/embedding_params.h"

namespace millrace::MILLRACE_GPU {

void run_embedding(const EmbeddingParams& params, Stream& stream);

}  // namespace millrace::MILLRACE_GPU
