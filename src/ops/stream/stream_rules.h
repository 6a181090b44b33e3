// Which matrices the kernels of stream_product.cuh can read.
#pragma once

#include <fmt/format.h>

#include <limits>

#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {

// 8 rows of so many BF16, beside the ring, fill a multiprocessor's shared memory.
constexpr std::int64_t kStagedMostK = 8192;
constexpr std::int64_t kStreamRows = 8;  // at most
constexpr std::int64_t kAnyK = std::numeric_limits<std::int64_t>::max();

// `out`: F32 where only logits are asked for, else the activations' type.
// `most_k`: of ops whose rows wait in shared memory whatever their length.
inline std::string stream_problem(DType weight, DType out, std::int64_t n, std::int64_t k,
                                  std::int64_t most_k, const DeviceTraits& traits) {
  if (weight != DType::BF16) return "reads BF16 weights";
  if (out != DType::BF16 && out != DType::F32) return "writes F32 or BF16";
  if (n % 8 != 0 || k % 32 != 0) return "needs columns in eights and k in steps of 32";
  if (k > most_k) return fmt::format("needs a k of at most {}", most_k);
  if (traits.backend == Backend::Cuda && traits.arch < 90)
    return "needs an NVIDIA GPU of sm_90 or later";
  return {};
}

}  // namespace millrace::MILLRACE_GPU
