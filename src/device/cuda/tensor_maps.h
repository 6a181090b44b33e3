// What tensor copies need to know of a matrix.
#pragma once

#include <cuda.h>

namespace millrace::cuda {

// Of BF16 rows of 64 columns, 128 bytes, one after the other; how many there are does not matter,
// since kernels ask for none beyond. Boxes of `box_rows` of them arrive in shared memory with a
// swizzle of 128 bytes. The driver packs the words without touching the device, in well under a
// microsecond. Throws DeviceError.
CUtensorMap map_rows(const void* rows, int box_rows);

}  // namespace millrace::cuda
