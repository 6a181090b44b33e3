// The values that stored elements stand for: the reference that every faster reader must equal
// bit for bit.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace millrace {

// Widens `count` consecutive elements (whole blocks) to float. For quantised formats the value is
// the one ggml's reference dequantisation gives: float products in its order. dtype is not I32.
void decode_row(DType dtype, const void* row, std::int64_t count, float* out);

}  // namespace millrace
