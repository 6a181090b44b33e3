// stream::launch() for the GPU that this is compiled for.
#pragma once

#include "device/gpu/gpu.h"

#if defined(MILLRACE_GPU_HAS_MFMA)
#include "ops/stream/stream_product_mfma.cuh"
#else
#include "ops/stream/stream_product.cuh"
#endif
