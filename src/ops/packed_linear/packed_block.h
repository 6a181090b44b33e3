// The unit of work of packed products: some panels times all rows, by one thread. Plain data, so
// that sources compiled for different instruction sets can share it.
#pragma once

#include <cstdint>

#include "ops/packed_linear/packed_linear_params.h"

namespace millrace {

// out[t][n] = residual[t][n] + bias[n] + the product, for panels [first, last), t in [0, count).
struct PackedBlock {
  PackedView weight;
  std::int64_t panel_bytes;
  std::int64_t first, last;  // panels
  // What this thread will read next, most likely: panels side by side as these are. Null: unknown.
  const std::byte* next;
  const std::byte* rows;  // encoded
  std::int64_t row_bytes;
  const std::int32_t* in_rows;  // encoded row of each t; null: t itself
  std::int64_t count;
  const float* bias;      // [n] or null
  const float* residual;  // null, or row 0 of what is added; may be `out`
  std::int64_t residual_stride;
  float* out;
  std::int64_t out_stride;
};

using PackedBlockFn = void (*)(const PackedBlock&);
// Encodes one row of k floats; zeros follow up to the end of its memory.
using EncodeRowFn = void (*)(const float* in, std::int64_t k, void* to);

namespace avx2 {
void packed_ints(const PackedBlock& block);
void encode_ints(const float* in, std::int64_t k, void* to);
}  // namespace avx2
namespace avx512 {
void packed_floats(const PackedBlock& block);
void encode_floats(const float* in, std::int64_t k, void* to);
}  // namespace avx512
namespace avx512_vnni {
void packed_ints(const PackedBlock& block);
void encode_ints(const float* in, std::int64_t k, void* to);
}  // namespace avx512_vnni
namespace avx512_bf16 {
void packed_halves(const PackedBlock& block);
void encode_halves(const float* in, std::int64_t k, void* to);
}  // namespace avx512_bf16
namespace amx {
void packed_ints(const PackedBlock& block);
void packed_halves(const PackedBlock& block);
}  // namespace amx
namespace neon_dot {
void packed_ints(const PackedBlock& block);
void encode_ints(const float* in, std::int64_t k, void* to);
}  // namespace neon_dot
namespace neon_bf16 {
void packed_halves(const PackedBlock& block);
void encode_halves(const float* in, std::int64_t k, void* to);
}  // namespace neon_bf16

}  // namespace millrace
