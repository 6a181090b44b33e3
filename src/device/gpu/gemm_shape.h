// A large matrix product, as the vendors' libraries are asked for it.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace millrace {

// out[rows][n] = in[rows][k] * weight[n][k]^T (+ out, where `adds`): BF16 factors, float sums.
struct GemmShape {
  std::int64_t rows, n, k;
  std::int64_t in_stride, out_stride;  // elements
  DType out;                           // F32 or BF16
  bool adds;

  // clang-tidy 14 takes what this compares with zero for a pointer.
  auto operator<=>(const GemmShape&) const = default;  // NOLINT(modernize-use-nullptr)
};

}  // namespace millrace
