// Random blocks of the quantised formats.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace millrace {

// The index-th of the random 64-bit words of a stream: splitmix64 with its counter laid open, so
// that any word can be had without those before it.
inline std::uint64_t random_word(std::uint64_t key, std::uint64_t index) {
  std::uint64_t z = key + (index + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// Whether float16 scales can give the weights this standard deviation, to within 2%.
bool can_fill_blocks(DType dtype, double deviation);

// Blocks [first, first + count) of the stream `key`, written to out: weights of mean 0 and the
// given standard deviation. A quantised dtype for which can_fill_blocks() holds.
void fill_blocks(DType dtype, double deviation, std::uint64_t key, std::int64_t first,
                 std::int64_t count, void* out);

}  // namespace millrace
