// Element types, including the block-quantised formats of GGUF.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace {

enum class DType : std::uint8_t {
  F32,
  F16,
  BF16,
  I32,
  Q8_0,
  Q4_0,
  Q4_1,
  Q5_0,
  Q5_1,
  Q4_K,
  Q5_K,
  Q6_K,
  F8_E4M3,  // OCP's; of the cache alone: see tensor/fp8.h
};

// How a row of elements lies in memory: blocks of `block_size` elements, `block_bytes` each.
// Plain types are blocks of one element.
struct DTypeLayout {
  std::string_view name;
  std::int64_t block_size;
  std::int64_t block_bytes;
};

const DTypeLayout& layout_of(DType dtype);

inline std::string_view to_string(DType dtype) {
  return layout_of(dtype).name;
}
inline bool is_quantised(DType dtype) {
  return layout_of(dtype).block_size > 1;
}

// Bytes of `count` consecutive elements; count must be a multiple of the block size.
std::int64_t bytes_of(DType dtype, std::int64_t count);

// "bf16", "BF16", "bfloat16", "q4_k", "fp8": as people and config files write it.
std::optional<DType> parse_dtype(std::string_view name);

}  // namespace millrace
