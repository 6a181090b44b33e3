// How the copy engine of Hopper is told of a matrix.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "tensor/half.h"

namespace millrace::cuda::hopper {

// [rows, k] with rows `stride` elements apart, in boxes of `box_rows` x 64, swizzled; what lies
// beyond the matrix reads as zero. k and stride are multiples of 8, data is 16-byte aligned.
// Throws DeviceError.
CUtensorMap tensor_map(const BF16* data, std::int64_t rows, std::int64_t k, std::int64_t stride,
                       int box_rows);

}  // namespace millrace::cuda::hopper
