// Encodes blocks of 256 values in the formats with two levels of scales ("K-quants").
#pragma once

#include "tensor/quant_blocks.h"

namespace millrace {

// Of each group of 32 (Q6_K: 16) values, the scale and minimum are sought that make its weighted
// squared error smallest, as ggml's reference does, and the same way: the blocks are equal to those
// of a ggml whose compiler does not fuse products and sums, bit for bit. Values that are not
// finite, or scales that leave float16, give some valid block.
void encode_k_block(const float* values, BlockQ4_K& block);
void encode_k_block(const float* values, BlockQ5_K& block);
void encode_k_block(const float* values, BlockQ6_K& block);

}  // namespace millrace
