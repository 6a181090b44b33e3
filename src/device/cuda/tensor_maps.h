// What tensor copies (sm_90 and later) need to know of a matrix. The driver packs the words without
// touching the device, in well under a microsecond. These throw DeviceError.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace millrace::cuda {

// BF16 [rows, columns] with rows `stride` elements apart, in boxes of `box_rows` x 64 columns that
// arrive in shared memory with a swizzle of 128 bytes; what lies beyond the matrix reads as zero.
// Columns and stride are multiples of 8, data is 16-byte aligned.
CUtensorMap map_matrix(const void* data, std::int64_t rows, std::int64_t columns,
                       std::int64_t stride, int box_rows,
                       CUtensorMapL2promotion promotion = CU_TENSOR_MAP_L2_PROMOTION_L2_256B);

// Of rows of 64 columns, one after the other; how many there are does not matter, since kernels ask
// for none beyond.
CUtensorMap map_rows(const void* rows, int box_rows);

}  // namespace millrace::cuda
