// Encodes rows in the quantised formats: the counterpart of tensor/decode_row.h.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace millrace {

// Whether quantise_row() knows the format: all but I32.
bool can_quantise(DType dtype);

// Encodes `count` values (whole blocks) as ggml's reference does, bit for bit, for finite values
// (Q4_K, Q5_K, Q6_K: see checkpoint/quantise_k.h).
// Blocks that hold an infinity or NaN, or whose scale leaves float16, become some valid block.
void quantise_row(DType dtype, const float* values, std::int64_t count, void* out);

}  // namespace millrace
