// Which matrices the kernels of stream_product.cuh can read.
#pragma once

#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {

// `out`: F32 where only logits are asked for, else the activations' type.
inline std::string stream_problem(DType weight, DType out, std::int64_t n, std::int64_t k,
                                  const DeviceTraits& traits) {
  if (weight != DType::BF16) return "reads BF16 weights";
  if (out != DType::BF16 && out != DType::F32) return "writes F32 or BF16";
  if (n % 8 != 0 || k % 32 != 0) return "needs columns in eights and k in steps of 32";
  if (k > 8192) return "needs a k of at most 8192: its rows wait in shared memory";
  if (traits.backend == Backend::Cuda && traits.arch < 90)
    return "needs an NVIDIA GPU of sm_90 or later";
  return {};
}

}  // namespace millrace::MILLRACE_GPU
