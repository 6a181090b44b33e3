// What goes into a streaming product: weights, and rows in one of three forms.
#pragma once

#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU::stream {

// Up to three matrices of one shape [columns, k] whose columns of equal index belong together.
struct Weights {
  const BF16* part[3];
  std::int64_t k;
  int tiles;  // of the kernel's columns
};

// The rows are BF16; every use reads them from global memory.
struct PlainRows {
  static constexpr bool kStaged = false;
  static constexpr bool kNormed = false;
  const BF16* data;
  std::int64_t stride;
  int rows;
};

// The same, copied to shared memory first, so that no product waits for them: where they fit.
struct CopiedRows : PlainRows {
  static constexpr bool kStaged = true;
  static constexpr std::int64_t kMostBytes = 64 * 1024;
};

// The rows are float and are normalised on the way (RMSNorm, spec 4.2): x * weight is rounded to
// BF16, the factor 1/rms multiplies the finished sums.
struct NormedRows {
  static constexpr bool kStaged = true;
  static constexpr bool kNormed = true;
  const float* data;
  std::int64_t stride;
  const std::int32_t* gather;  // row m is gather[m] of data; null: m
  const float* weight;
  float epsilon;
  int rows;
};

}  // namespace millrace::MILLRACE_GPU::stream
